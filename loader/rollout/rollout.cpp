#include "loader/rollout/rollout.h"

#include <algorithm>
#include <string>

#include "loader/btf/harden_tables.h"
#include "loader/kernel/seal.h"
#include "loader/policies/active_policy.h"
#include "loader/policies/host_names.h"
#include "loader/policies/kernel_fit.h"
#include "loader/policies/policy_store.h"
#include "loader/rollout/apply_signed.h"
#include "loader/rollout/by_order.h"
#include "loader/signed/order.h"

namespace bpfwarden::loader {
namespace {

// The generation that was active before; its image is still in its slot.
Result<Generation> read_previous(const ActivePolicy& active) {
  // After a return the one before decides already.
  const bool is_active = active.word.previous == active.generation.number;
  auto previous =
      read_generation(active.pins.generations.get(), is_active ? 0 : active.word.previous);
  if (!previous) return std::unexpected(std::move(previous).error());
  if (!*previous)
    return fail("there is no policy to go back to",
                "`bpfwarden status` shows what is active; `bpfwarden apply POLICY` replaces it");
  return std::move(**previous);
}

Status keep(const ActivePolicy& active) {
  if (is_sealed(active.word)) return send_confirmation();
  bw_control word = active.word;
  const auto previous = read_previous(active);
  // A first policy has nothing to go back to but itself.
  if (previous &&
      std::ranges::equal(previous->image->policy_digest, active.generation.image->policy_digest))
    word.previous = 0;
  word.unconfirmed = 0;
  return write_control(active.pins.control.get(), word);
}

// The image is still there, and so are its keys, in the ring of the one that awaits confirmation.
Result<Applied> return_to_fallback(const ActivePolicy& active) {
  bw_control word = active.word;
  word.generation = word.fallback;
  word.active_since_ns = boot_time_ns();
  word.previous = 0;
  if (auto flipped = write_control(active.pins.control.get(), word); !flipped)
    return std::unexpected(std::move(flipped).error());
  return Applied{.generation = word.generation, .ring = active.generation.image->sealed.ring};
}

// A run that made it decide was ended, or failed, before loaders found its keyring or the next boot
// the policy. A host on which none has been confirmed has nothing saved.
bool is_left_undone(const ActivePolicy& active) {
  if (has_saved_for_boot() && !is_saved_for_boot(*active.generation.image)) return true;
  const auto owner = read_generation(active.pins.generations.get(), active.word.ring_owner);
  return owner && *owner && !is_published(*(*owner)->image);
}

Result<Applied> finish_active(ActivePolicy active, const Progress& progress) {
  auto policy = load_policy(active.generation.image->policy_digest);
  if (!policy) return std::unexpected(std::move(policy).error());
  policy->compiled->image = std::move(active.generation.image);  // it may be the audit form
  return apply_locked(*policy, {.confirm_within = 0, .progress = progress}, true);
}

}  // namespace

Result<Applied> confirm(const Progress& progress) {
  auto lock = Lock::take();
  if (!lock) return std::unexpected(std::move(lock).error());
  auto active = require_active_policy();
  if (!active) return std::unexpected(std::move(active).error());
  const bw_control& word = active->word;
  const bw_image& image = *active->generation.image;
  if (has_returned(word, boot_time_ns()))
    return fail("too late: nobody confirmed in time, and version " +
                    std::to_string(image.policy_version) + " of '" + image.policy_name +
                    "' decides again",
                "run `bpfwarden apply POLICY` again, with more time: --confirm-within 15m");
  const bool awaits = awaits_confirmation(word, boot_time_ns());
  // What a confirmation that was ended, or another run, has left.
  if (!awaits && !is_left_to_seal(*active)) {
    if (is_left_undone(*active)) return finish_active(std::move(*active), progress);
    return fail("no policy awaits confirmation", "`bpfwarden status` shows what is active");
  }
  if (auto saved = save_for_boot(image); !saved) return std::unexpected(std::move(saved).error());
  if (awaits)
    if (auto kept = keep(*active); !kept) return std::unexpected(std::move(kept).error());
  const auto sealed = seal_if_asked(progress);
  if (!sealed)
    return std::unexpected(
        Error(sealed.error()).within("the policy is confirmed, but the host is not sealed"));
  return Applied{
      .generation = active->generation.number, .ring = image.sealed.ring, .sealed = *sealed};
}

Result<uint64_t> stage(const CheckedPolicy& checked) {
  auto lock = Lock::take();
  if (!lock) return std::unexpected(std::move(lock).error());
  auto active = require_active_policy();
  if (!active) return std::unexpected(std::move(active).error());
  if (auto open = require_unsealed(active->word); !open)
    return std::unexpected(std::move(open).error());
  const bw_image& image = *checked.compiled->image;
  if (auto fit = require_hardening(image.harden); !fit)
    return std::unexpected(std::move(fit).error());
  if (same_policy(*active->generation.image, image))
    return fail("this very policy is active already", "change it, and raise `version`");
  if (auto newer = require_newer(*active->generation.image, image); !newer)
    return std::unexpected(std::move(newer).error());
  if (auto saved = save_policy(checked); !saved) return std::unexpected(std::move(saved).error());
  auto number = publish_staged(active->pins.control.get(), active->pins.generations.get(), image);
  if (number) prune_copies(active->pins);
  return number;
}

Result<bool> unstage() {
  auto lock = Lock::take();
  if (!lock) return std::unexpected(std::move(lock).error());
  auto active = require_active_policy();
  if (!active) return std::unexpected(std::move(active).error());
  if (active->word.staged == 0) return false;
  if (auto open = require_unsealed(active->word); !open)
    return std::unexpected(std::move(open).error());
  active->word.staged = active->word.staged_since = 0;
  if (auto written = write_control(active->pins.control.get(), active->word); !written)
    return std::unexpected(std::move(written).error());
  prune_copies(active->pins);
  return true;
}

Result<Promoted> promote(const PromoteOptions& options) {
  auto lock = Lock::take();
  if (!lock) return std::unexpected(std::move(lock).error());
  auto active = require_active_policy();
  if (!active) return std::unexpected(std::move(active).error());
  if (asks_for_signatures(*active->generation.image))
    return promote_signed(*active, options.preflight);
  if (auto open = require_unsealed(active->word); !open)
    return std::unexpected(std::move(open).error());
  auto staged = read_generation(active->pins.generations.get(), active->word.staged);
  if (!staged) return std::unexpected(std::move(staged).error());
  if (!*staged) return fail("no policy is staged", "run `bpfwarden stage POLICY` first");
  auto policy = load_policy((*staged)->image->policy_digest);
  if (!policy) return std::unexpected(std::move(policy).error());
  // What there is not was told when it was staged.
  if (auto found = find_on_host(*policy->compiled); !found)
    return std::unexpected(std::move(found).error());
  const auto unfit = held_against(*policy->compiled, abilities_of_kernel(), Occasion::change);
  if (auto held = require_held(unfit); !held) return std::unexpected(std::move(held).error());
  auto taken_away = require_accepted(*policy->compiled, options.preflight);
  if (!taken_away) return std::unexpected(std::move(taken_away).error());
  auto applied = apply_locked(*policy, options.apply, false);
  if (!applied) return std::unexpected(std::move(applied).error());
  return Promoted{std::move(*policy), *applied, std::move(*taken_away)};
}

Result<Promoted> rollback(const ApplyOptions& options) {
  auto lock = Lock::take();
  if (!lock) return std::unexpected(std::move(lock).error());
  auto active = require_active_policy();
  if (!active) return std::unexpected(std::move(active).error());
  if (auto free = require_no_order(*active, BW_REQUEST_ROLLBACK); !free)
    return std::unexpected(std::move(free).error());
  const bool at_once = awaits_confirmation(active->word, boot_time_ns());
  auto previous = read_previous(*active);
  if (!previous) return std::unexpected(std::move(previous).error());
  auto policy = load_policy(previous->image->policy_digest);
  if (!policy) return std::unexpected(std::move(policy).error());
  policy->compiled->image = std::move(previous->image);  // it may be the audit form of its text
  // What a boot brought back, rather than nothing, nobody brings back by choice. What returns by
  // itself at the deadline is not held up.
  if (!at_once)
    if (auto held =
            require_held(held_against(*policy->compiled, abilities_of_kernel(), Occasion::change));
        !held)
      return std::unexpected(std::move(held).error());
  auto applied = at_once ? return_to_fallback(*active) : apply_locked(*policy, options, true);
  if (!applied) return std::unexpected(std::move(applied).error());
  return Promoted{std::move(*policy), *applied};
}

}  // namespace bpfwarden::loader
