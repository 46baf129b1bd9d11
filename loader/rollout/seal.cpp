#include "loader/rollout/seal.h"

#include "loader/kernel/guard.h"
#include "loader/kernel/hooks.h"
#include "loader/kernel/seal.h"
#include "loader/policies/active_policy.h"

namespace bpfwarden::loader {
namespace {

Result<bool> has_guard() {
  const auto count = count_guards();
  if (!count) return std::unexpected(count.error());
  return *count != 0;
}

Status require_whole(const ActivePolicy& active) {
  const auto hooks = read_hooks(active.pins);
  if (!hooks) return std::unexpected(hooks.error());
  if (hooks->missing.empty()) return {};
  return fail(missing_hooks_text(*hooks), kMissingHooksHint);
}

}  // namespace

bool seals(const bw_image& image) { return (image.flags & BW_IMAGE_SEAL) != 0; }

Result<Sealed> seal() {
  auto lock = Lock::take();
  if (!lock) return std::unexpected(std::move(lock).error());
  const auto active = require_active_policy();
  if (!active) return std::unexpected(active.error());
  if (is_sealed(active->word)) return Sealed::now;
  if (auto settled = require_settled(*active); !settled) return std::unexpected(settled.error());
  if (auto whole = require_whole(*active); !whole) return std::unexpected(whole.error());
  const auto guarded = has_guard();
  if (!guarded) return std::unexpected(guarded.error());
  if (!*guarded)
    return fail(
        "the hooks were attached without a guard behind them, so whoever takes them away "
        "would open the host",
        "apply a policy with `seal = true`; the next boot attaches them with a guard, and "
        "seals");
  if (auto done = seal_maps(active->word); !done) return std::unexpected(done.error());
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
  if (auto done = seal_maps(active->word); !done) return std::unexpected(done.error());
  return Sealed::now;
}

}  // namespace bpfwarden::loader
