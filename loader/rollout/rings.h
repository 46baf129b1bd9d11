// The keyring of a policy, before it becomes active.
#pragma once

#include "base/result.h"
#include "bpf-lsm/abi/image.h"
#include "keyring/kernel_keyring.h"
#include "loader/policies/policy_file.h"

namespace bpfwarden::loader {

struct PolicyRing {
  keyring::KeySerial serial = 0;
  bw_sealed keys = {};  // the serials that the kernel part protects
};

// Sealed, and not yet published. With the certificates of `fallback`, too (null: none): signatures
// must go on verifying when that decides again, with nobody there to change the keyring. Which key
// counts, each image says by itself. Errors: as of create_sealed_ring(); more certificates than
// fit; the fallback's text cannot be read.
[[nodiscard]] Result<PolicyRing> make_ring(const CompiledPolicy& compiled,
                                           const bw_image* fallback);

// The published one, if it has all certificates of the policy: then nobody who signs meanwhile
// finds another. Else a new one, as by make_ring().
[[nodiscard]] Result<PolicyRing> adopt_or_make_ring(const CompiledPolicy& compiled);

// Makes it the keyring that loaders find. Errors: that the policy is active all the same.
[[nodiscard]] Status publish_policy_ring(keyring::KeySerial serial);

}  // namespace bpfwarden::loader
