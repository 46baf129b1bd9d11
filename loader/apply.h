// From a compiled policy to enforcement that needs no process.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "keyring/kernel_keyring.h"
#include "loader/policy_file.h"

namespace bpfwarden::loader {

inline constexpr const char* kRingName = "bpfwarden";

struct Applied {
  uint64_t generation = 0;
  keyring::KeySerial ring = 0;
  bool first = false;      // the hooks were loaded and attached now
  bool unchanged = false;  // the very same policy was active already; nothing was done
};

// Makes `compiled` the active policy. First time: keyring, hooks, pins; later only the keyring and
// a flip. On failure everything is as before. A version below the active one, or the same version
// with other content, is refused: versions only increase.
[[nodiscard]] Result<Applied> apply(const CompiledPolicy& compiled);

// Detaches the hooks and drops pins, policy and keyring. True if there was something to drop.
[[nodiscard]] Result<bool> switch_off();

}  // namespace bpfwarden::loader
