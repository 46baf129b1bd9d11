// What the verbs that change the active policy say about it.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "loader/rollout/apply.h"
#include "loader/rollout/preflight.h"

namespace bpfwarden::loader {

// What is told beside it; both may be empty.
struct AppliedNotes {
  std::string widening;    // widening_line()
  std::string taken_away;  // require_accepted()
};

// On stdout.
// As JSON has it; and as a line for people, where there is something to say.
[[nodiscard]] std::string_view sealed_word(Sealed sealed);
void print_sealed(Sealed sealed);

void print_applied(const CompiledPolicy& compiled, const Applied& applied);
[[nodiscard]] nlohmann::json applied_json(const CompiledPolicy& compiled, const Applied& applied,
                                          const AppliedNotes& notes);

[[nodiscard]] nlohmann::json preflight_json(const CompiledPolicy& next, const Preflight& found);

// On stdout, where an initramfs has not the policy that a boot comes up with now: what to do.
void print_stale_initramfs();

// "policy 'edge' version 12, audit"
[[nodiscard]] std::string policy_line(const CompiledPolicy& compiled);

// "5 minutes"
[[nodiscard]] std::string duration_text(uint64_t seconds);

}  // namespace bpfwarden::loader
