// What a verb prints with --json: one object on standard output, whatever becomes of it
// (docs/json.md). Errors and diagnostics are kept until finish(), and are then part of it.
//
// There is one per process, as there is one standard output.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "loader/events/event.h"
#include "loader/rollout/applied_output.h"
#include "policy/text/diagnostic.h"

namespace bpfwarden::loader {

// From here on; once, before the verb runs.
void answer_in_json();
[[nodiscard]] bool in_json();

// The result, printed by finish().
void put_answer(nlohmann::json answer);
// Of what made a policy active: the result, or the lines for people.
void answer_applied(const CompiledPolicy& compiled, const Applied& applied,
                    const AppliedNotes& notes = {});
// A line of a result that has many: at once. finish() then prints errors only.
void put_line(const nlohmann::json& line);
// Of a result that has many: what goes wrong is a line, too.
void answer_in_lines();
// Standard output has something else on it, such as a bundle: the answer goes to standard error.
void answer_on_stderr();

// What is wrong with files: on standard error, or part of the answer.
void put_diagnostics(std::span<const policy::Diagnostic> diagnostics,
                     std::span<const policy::SourceFile> sources);
// A line on standard error, or part of the answer.
void put_note(const std::string& text);
// What takes long is told of, line by line, to who sits there; else to nobody.
[[nodiscard]] Progress progress_at_terminal();
// The events of a refusal, which belong to the error.
void put_refusals(const std::vector<Event>& events);

// Prints the answer, or what went wrong; without --json nothing is left to print. Returns `status`.
int finish(int status);

}  // namespace bpfwarden::loader
