// What a policy says that a host would look up: where a signed one, which is the same on every
// host, means less than the same text that is applied there.
#pragma once

#include <string_view>
#include <vector>

#include "policy/language/model.h"
#include "policy/text/diagnostic.h"

namespace bpfwarden::loader {

// The code of the warnings below.
inline constexpr std::string_view kNotLookedUp = "not-looked-up";

// A warning for each symbol in a file, and for each function that a rule refuses: find_uprobes()
// and find_functions() add what those are on a host.
[[nodiscard]] std::vector<policy::Diagnostic> not_looked_up(const policy::Policy& policy);

}  // namespace bpfwarden::loader
