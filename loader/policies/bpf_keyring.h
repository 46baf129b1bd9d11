// The keyring `.bpf` of kernels after 7.3, and who wants it (docs/kernels.md). No kernel that has
// it was tried: what is done to it was, with keyrings of users (keyring/enrol.h).
#pragma once

#include <cstddef>

#include "base/result.h"

namespace bpfwarden::loader {

// How many keys are in it. Errors, each with what to do: the running kernel has none; it has closed
// it empty at boot; it cannot be looked at.
[[nodiscard]] Result<size_t> keys_in_bpf_keyring();

// Whether a key of the policy that a boot comes up with has keyring = "bpf". No policy: false.
[[nodiscard]] Result<bool> confirmed_policy_wants_bpf_keyring();

}  // namespace bpfwarden::loader
