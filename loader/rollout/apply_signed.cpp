#include "loader/rollout/apply_signed.h"

#include <string>
#include <utility>

#include "loader/btf/harden_tables.h"
#include "loader/kernel/seal.h"
#include "loader/policies/policy_store.h"
#include "loader/rollout/rings.h"

namespace bpfwarden::loader {
namespace {

Result<Applied> order(const SignedPolicy& next, const ActivePolicy& active) {
  return change_by_order(active, {.image = next.image.get(), .signatures = next.signatures},
                         *next.checked.compiled, next.image->confirm_within_s);
}

Result<Applied> replace(const SignedPolicy& next, const ActivePolicy& active) {
  const bool is_done = same_policy(*active.generation.image, *next.image);
  if (!is_done)
    if (auto fit = require_successor(active, *next.image); !fit)
      return std::unexpected(fit.error());
  if (auto whole = require_hooks(active); !whole) return std::unexpected(whole.error());
  if (auto saved = save_policy(next.checked); !saved) return std::unexpected(saved.error());
  auto applied = is_done ? make_up_for_order(active, *next.checked.compiled) : order(next, active);
  return applied ? keep_ordered(active, *applied, *next.image) : applied;
}

}  // namespace

bool asks_for_signatures(const bw_image& active) { return active.policy_signers != 0; }

Status require_successor(const ActivePolicy& active, const bw_image& next) {
  const bw_image& now = *active.generation.image;
  if (std::string(now.policy_name) != next.policy_name)
    return fail(std::string("the active policy is '") + now.policy_name + "', this one '" +
                    next.policy_name + "': a signed policy keeps its name",
                "give it the same `name`, compile and sign it again");
  if (auto fit = require_hardening(next.harden); !fit) return fit;
  if (auto settled = require_settled(active); !settled) return settled;
  if (next.policy_version <= active.word.taken_back)
    return fail("version " + std::to_string(active.word.taken_back) +
                    " was taken back by a signed order, and this one has " +
                    std::to_string(next.policy_version),
                "raise `version` above that, compile and sign it again");
  return require_newer(now, next);
}

Result<Applied> change_by_order(const ActivePolicy& active, Order order,
                                const CompiledPolicy& compiled, uint64_t within) {
  const bw_image& now = *active.generation.image;
  auto ring = make_ring(compiled, within != 0 ? &now : nullptr);
  if (!ring) return std::unexpected(std::move(ring).error());
  if (!is_sealed(active.word))
    if (auto ready = prepare_slots(active.pins.generations.get()); !ready)
      return std::unexpected(std::move(ready).error());
  order.ring = keyring::find_ring(kRingName).value_or(now.sealed.ring);
  order.sealed = ring->keys;
  if (auto taken = send_order(order); !taken) return std::unexpected(std::move(taken).error());
  const auto word = read_control(active.pins.control.get());
  if (!word) return std::unexpected(word.error());
  if (word->generation == active.word.generation)
    return fail("the kernel part has not taken the order, and does not say why",
                "`bpfwarden status` says whether all hooks are there");
  if (auto published = publish_policy_ring(ring->serial); !published)
    return std::unexpected(std::move(published).error());
  return Applied{.generation = word->generation,
                 .ring = ring->serial,
                 .first = false,
                 .unchanged = false,
                 .confirm_within = within,
                 .sealed = is_sealed(*word) ? Sealed::now : Sealed::no};
}

Result<Applied> make_up_for_order(const ActivePolicy& active, const CompiledPolicy& compiled) {
  keyring::KeySerial ring = keyring::find_ring(kRingName).value_or(0);
  if (ring != active.generation.image->sealed.ring) {
    const auto made = make_ring(compiled, nullptr);
    if (!made) return std::unexpected(made.error());
    if (auto published = publish_policy_ring(made->serial); !published)
      return std::unexpected(std::move(published).error());
    ring = made->serial;
  }
  return Applied{.generation = active.generation.number,
                 .ring = ring,
                 .first = false,
                 .unchanged = true,
                 .confirm_within = seconds_left(active.word, boot_time_ns()),
                 .sealed = is_sealed(active.word) ? Sealed::now : Sealed::no};
}

Result<Applied> keep_ordered(const ActivePolicy& before, const Applied& applied,
                             const bw_image& image) {
  if (auto kept = keep_for_boot(applied, image); !kept)
    return std::unexpected(std::move(kept).error());
  prune_copies(before.pins);
  return sealed_if_asked(applied);
}

Result<Applied> apply_signed(const SignedPolicy& policy, const ApplyOptions& options) {
  {
    auto lock = Lock::take();
    if (!lock) return std::unexpected(std::move(lock).error());
    const auto active = read_active_policy();
    if (!active) return std::unexpected(active.error());
    if (*active && asks_for_signatures(*(*active)->generation.image))
      return replace(policy, **active);
  }
  return apply(policy.checked, options);
}

}  // namespace bpfwarden::loader
