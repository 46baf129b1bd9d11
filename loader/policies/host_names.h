// What the names in a policy stand for on this host: functions of the kernel, uprobes. Looked up
// where a policy becomes active.
#pragma once

#include <vector>

#include "base/result.h"
#include "loader/policies/policy_file.h"

namespace bpfwarden::loader {

// Before Linux 6.18 the kernel keeps no digests of programs: what names some is refused, by its
// place.
[[nodiscard]] Status require_digests(const policy::Policy& policy);

// Completes the policy by find_functions() and find_uprobes(). Returns their warnings, and those of
// missing_targets(). Errors: as theirs, and those of reading the kernel's symbols where a rule
// names functions; of require_digests().
[[nodiscard]] Result<std::vector<policy::Diagnostic>> find_on_host(CompiledPolicy& compiled);

}  // namespace bpfwarden::loader
