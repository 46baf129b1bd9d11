// Sealing the host: from then to the next boot the policy and what decides by it stay as they are,
// whoever asks (docs/threat-model.md).
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/result.h"
#include "bpf-lsm/abi/program.h"
#include "loader/policies/active_policy.h"

namespace bpfwarden::loader {

enum class Sealed {
  no,
  now,         // it is
  at_confirm,  // once the policy is confirmed
  at_boot,     // the hooks have no guard behind them: what the next boot attaches has
};

[[nodiscard]] bool seals(const bw_image& image);

// Its policy asks for the seal, the guard is there, and the host is not sealed. Errors: errno of
// bpf(2).
[[nodiscard]] Result<bool> is_left_to_seal(const ActivePolicy& active);

// By the verb: whatever the policy says of it. Errors: no policy is active; it awaits its
// confirmation; a hook is missing; the hooks have no guard behind them; errno of bpf(2).
[[nodiscard]] Result<Sealed> seal();

// For those who hold the Lock, where a policy that seals has become active, or was confirmed.
[[nodiscard]] Result<Sealed> seal_if_asked();

}  // namespace bpfwarden::loader
