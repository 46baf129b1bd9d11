// All of the command line: the verbs in their groups, with their options.
#pragma once

#include "loader/cli/cmd.h"

namespace bpfwarden::loader {

// Registers everything with an empty `app`. Parsing sets `chosen` to what the verb does; both must
// outlive the parsing.
void describe(CLI::App& app, Command& chosen);

// Whether the verb that was parsed is to answer in JSON.
[[nodiscard]] bool wants_json(const CLI::App& app);

}  // namespace bpfwarden::loader
