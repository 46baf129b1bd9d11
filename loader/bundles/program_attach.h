// Where a program goes, by what its object says.
#pragma once

#include "base/result.h"
#include "keyring/bundle.h"
#include "policy/language/attach_pattern.h"

namespace bpfwarden::loader {

// By program type, attach type and the section's name. Errors: an attach point that is not known.
[[nodiscard]] Result<policy::AttachPoint> attach_point_of(const keyring::ProgramEntry& program);

}  // namespace bpfwarden::loader
