#include "loader/rollout/seal.h"

#include <algorithm>

#include "loader/kernel/hooks.h"
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
  word.sealed_generation = active.generation.number;
  word.taken_back = 0;
  std::ranges::fill(word.challenge, 0);  // from here on the kernel part alone makes one
  return seal_maps(word);
}

// `active`: of a host that is not sealed.
Result<Sealed> seal_guarded(const ActivePolicy& active, const Progress& progress) {
  const auto guarded = is_guarded(active.pins);
  if (!guarded) return std::unexpected(guarded.error());
  if (*guarded) {
    const auto done = seal_policy(active);
    return done ? Result<Sealed>(Sealed::now) : std::unexpected(done.error());
  }
  if (auto taken = take_over(true, progress); !taken)
    return std::unexpected(
        std::move(taken).error().within("its hooks have no guard behind them, and others cannot "
                                        "take over"));
  const auto next = require_active_policy();
  if (!next) return std::unexpected(next.error());
  const auto done = seal_policy(*next);
  return done ? Result<Sealed>(Sealed::now) : std::unexpected(done.error());
}

}  // namespace

bool is_left_to_seal(const ActivePolicy& active) {
  return seals(*active.generation.image) && !is_sealed(active.word);
}

bool seals(const bw_image& image) { return (image.flags & BW_IMAGE_SEAL) != 0; }

Result<Sealed> seal(const Progress& progress) {
  auto lock = Lock::take();
  if (!lock) return std::unexpected(std::move(lock).error());
  const auto active = require_active_policy();
  if (!active) return std::unexpected(active.error());
  if (is_sealed(active->word)) return Sealed::now;
  if (auto settled = require_settled(*active); !settled) return std::unexpected(settled.error());
  if (auto whole = require_hooks(*active); !whole) return std::unexpected(whole.error());
  return seal_guarded(*active, progress);
}

Result<Sealed> seal_if_asked(const Progress& progress) {
  const auto active = require_active_policy();
  if (!active) return std::unexpected(active.error());
  if (!seals(*active->generation.image)) return Sealed::no;
  if (is_sealed(active->word)) return Sealed::now;
  if (awaits_confirmation(active->word, boot_time_ns())) return Sealed::at_confirm;
  return seal_guarded(*active, progress);
}

}  // namespace bpfwarden::loader
