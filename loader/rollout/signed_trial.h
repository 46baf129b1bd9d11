// What the kernel makes of a signature, tried: a program signed with a key that was just made,
// whose certificate is in a keyring of this process only.
#pragma once

#include "loader/rollout/probe.h"

namespace bpfwarden::loader {

// Three loads of a harmless program, which is never attached: as it was signed, changed after that,
// and signed by a key that the keyring does not have. Needs root, and a kernel that verifies
// signatures (where it verifies none, it says so). Not for a host where a policy is active: it
// would decide. Nothing is left behind; the keyring ends with this process.
[[nodiscard]] Capability probe_by_signing();

}  // namespace bpfwarden::loader
