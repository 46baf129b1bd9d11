// What is pinned and decides now: where apply and the verbs of a rollout start from. They hold the
// Lock of pins.h meanwhile.
#pragma once

#include <optional>

#include "base/result.h"
#include "loader/kernel/pins.h"
#include "loader/policies/publish.h"

namespace bpfwarden::loader {

struct ActivePolicy {
  PinnedMaps pins;
  bw_control word = {};
  Generation generation;  // that decides
};

// Nothing if no policy is active. Errors: one was, and a signed order has ended it; of reading.
[[nodiscard]] Result<std::optional<ActivePolicy>> read_active_policy();
// Likewise, but that is an Error.
[[nodiscard]] Result<ActivePolicy> require_active_policy();

// Of the same files, as strict (a policy that falls back to itself does so in audit mode), and the
// same on this host: symbols of uprobes move when their files are updated.
[[nodiscard]] bool same_policy(const bw_image& left, const bw_image& right);

// Some rule asks for signatures that cover maps.
[[nodiscard]] bool asks_for_maps(const bw_image& image);

// Likewise of the policy that decides, or of the staged one, which is to see what it would. For
// whoever loads: nothing is opened to be written, of which the kernel part would tell. False where
// it cannot be read.
[[nodiscard]] bool policy_in_kernel_asks_for_maps();

// Versions only increase.
[[nodiscard]] Status require_newer(const bw_image& active, const bw_image& next);

// Errors: the active policy awaits its confirmation.
[[nodiscard]] Status require_settled(const ActivePolicy& active);

// Errors: a hook is gone. A policy that is applied then would decide nothing, and say so to nobody.
[[nodiscard]] Status require_hooks(const ActivePolicy& active);

// Deletes the copies of policies that no generation refers to.
void prune_copies(const PinnedMaps& pins);

}  // namespace bpfwarden::loader
