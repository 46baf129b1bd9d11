// What a policy that is to be applied opens up, beside the active one, in one line.
#pragma once

#include <string>

#include "loader/policies/policy_file.h"

namespace bpfwarden::loader {

// "widens: `xdp@eth0` for …; 2 more groups: bpfwarden diff --active FILE". Empty where no policy is
// active, or it cannot be read. `file` is the policy's, for the hint.
[[nodiscard]] std::string widening_line(const CompiledPolicy& next, const std::string& file);

}  // namespace bpfwarden::loader
