// What the names in a policy stand for on this host: functions of the kernel, uprobes. Looked up
// where a policy becomes active.
#pragma once

#include <vector>

#include "base/result.h"
#include "loader/policies/policy_file.h"

namespace bpfwarden::loader {

// Completes the policy by find_functions() and find_uprobes(). Returns their warnings, and those of
// missing_targets(). Errors: as theirs, and those of reading the kernel's symbols where a rule
// names functions; a rule that asks for
// digests where the kernel keeps none, by its place.
[[nodiscard]] Result<std::vector<policy::Diagnostic>> find_on_host(CompiledPolicy& compiled);

}  // namespace bpfwarden::loader
