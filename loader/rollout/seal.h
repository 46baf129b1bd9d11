// Sealing the host: from then to the next boot the policy and what decides by it stay as they are,
// whoever asks (docs/threat-model.md).
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/result.h"
#include "bpf-lsm/abi/program.h"
#include "loader/policies/active_policy.h"
#include "loader/rollout/takeover.h"

namespace bpfwarden::loader {

enum class Sealed {
  no,
  now,         // it is
  at_confirm,  // once the policy is confirmed
};

[[nodiscard]] bool seals(const bw_image& image);

// Its policy asks for the seal, and the host is not sealed.
[[nodiscard]] bool is_left_to_seal(const ActivePolicy& active);

// Where the hooks were attached without a guard behind them, others with one take over first
// (takeover.h).
//
// By the verb: whatever the policy says of it. Errors: no policy is active; it awaits its
// confirmation; a hook is missing; as of take_over(); errno of bpf(2).
[[nodiscard]] Result<Sealed> seal(const Progress& progress = {});

// For those who hold the Lock, where a policy that seals has become active, or was confirmed.
[[nodiscard]] Result<Sealed> seal_if_asked(const Progress& progress = {});

}  // namespace bpfwarden::loader
