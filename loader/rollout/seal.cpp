#include "loader/rollout/seal.h"

#include "loader/kernel/guard.h"
#include "loader/kernel/seal.h"
#include "loader/policies/active_policy.h"
#include "loader/signed/order.h"

namespace bpfwarden::loader {
namespace {

// Before nobody can add a slot any more.
Status seal_policy(const ActivePolicy& active) {
  if (active.generation.image->policy_signers != 0)
    if (auto ready = prepare_slots(active.pins.generations.get()); !ready) return ready;
  bw_control word = active.word;
  word.sealed_ns = boot_time_ns();
  return seal_maps(word);
}

}  // namespace

Result<bool> is_left_to_seal(const ActivePolicy& active) {
  if (!seals(*active.generation.image) || is_sealed(active.word)) return false;
  return has_guard();
}

bool seals(const bw_image& image) { return (image.flags & BW_IMAGE_SEAL) != 0; }

Result<Sealed> seal() {
  auto lock = Lock::take();
  if (!lock) return std::unexpected(std::move(lock).error());
  const auto active = require_active_policy();
  if (!active) return std::unexpected(active.error());
  if (is_sealed(active->word)) return Sealed::now;
  if (auto settled = require_settled(*active); !settled) return std::unexpected(settled.error());
  if (auto whole = require_hooks(*active); !whole) return std::unexpected(whole.error());
  const auto guarded = has_guard();
  if (!guarded) return std::unexpected(guarded.error());
  if (!*guarded)
    return fail(
        "the hooks were attached without a guard behind them, so whoever takes them away "
        "would open the host",
        "apply a policy with `seal = true`; the next boot attaches them with a guard, and "
        "seals");
  if (auto done = seal_policy(*active); !done) return std::unexpected(done.error());
  return Sealed::now;
}

Result<Sealed> seal_if_asked() {
  const auto active = require_active_policy();
  if (!active) return std::unexpected(active.error());
  if (!seals(*active->generation.image)) return Sealed::no;
  if (is_sealed(active->word)) return Sealed::now;
  const auto guarded = has_guard();
  if (!guarded) return std::unexpected(guarded.error());
  if (!*guarded) return Sealed::at_boot;
  if (awaits_confirmation(active->word, boot_time_ns())) return Sealed::at_confirm;
  if (auto done = seal_policy(*active); !done) return std::unexpected(done.error());
  return Sealed::now;
}

}  // namespace bpfwarden::loader
