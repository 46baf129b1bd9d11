// A bundle as the kernel and as `bpfwarden verify` see it.
#pragma once

#include <string>

#include "tests/vm/helpers/scene.h"

namespace bpfwarden::vm {

// `bpfwarden run` of the bundle, with what `verify` says of it under the policy in force: that both
// agree is checked.
[[nodiscard]] Ran run_as_verified(const Warden& warden, const std::string& bundle,
                                  const std::string& options = "");

}  // namespace bpfwarden::vm
