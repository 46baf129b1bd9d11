// An event in sentences: the same for `events`, `run` and `why`, for the journal and for JSON.
#pragma once

#include <string>
#include <vector>

#include "loader/events/event.h"

namespace bpfwarden::loader {

// Parts of a sentence: "agent (agent.service, /usr/bin/agent, uid 998, pid 54)"
[[nodiscard]] std::string who_text(const Event& event);
// "to load an unsigned xdp program 'drop'", "renamed the device of ..."
[[nodiscard]] std::string what_text(const Event& event);
// Of a refusal: "it got EPERM"
[[nodiscard]] std::string outcome_text(const Event& event);
// "agent (...) tried to load an unsigned xdp program 'drop'; it got EPERM"
[[nodiscard]] std::string deed_text(const Event& event);
// What decided, then the rules that came near.
[[nodiscard]] std::vector<std::string> reasons_of(const Event& event);

// One line: "DENIED: ", what happened, and why.
[[nodiscard]] std::string event_sentence(const Event& event);
// Several lines, with `margin` before each: why; of a refusal also what to do, and which rule.
// Sentences are wrapped at `columns` (0: as long as they are), the rule is not.
[[nodiscard]] std::string explanation_text(const Event& event, const std::string& margin,
                                           size_t columns = 0);
// Several lines: its number, what happened, and the explanation.
[[nodiscard]] std::string event_to_text(const Event& event);

}  // namespace bpfwarden::loader
