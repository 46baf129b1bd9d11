// From a compiled policy to enforcement that needs no process. On failure everything is as before.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "keyring/kernel_keyring.h"
#include "loader/policies/policy_file.h"
#include "loader/rollout/seal.h"
#include "loader/signed/request.h"

namespace bpfwarden::loader {

inline constexpr const char* kRingName = "bpfwarden";
inline constexpr uint64_t kDefaultConfirmSeconds = 300;

struct ApplyOptions {
  // Seconds until what was there decides again, unless confirm() comes; 0: no need to confirm.
  // Nothing: kDefaultConfirmSeconds where a policy begins to enforce, else 0.
  std::optional<uint64_t> confirm_within;
  Progress progress;
  // What is saved counts: it stays as it is, and may be older than what an initramfs has made
  // active.
  bool at_boot = false;
  std::string next_root;  // in an initramfs: where the real root is mounted (host_mounts.h)
};

struct Applied {
  uint64_t generation = 0;
  keyring::KeySerial ring = 0;
  bool first = false;           // the hooks were loaded and attached now
  bool unchanged = false;       // the very same policy was active already; nothing was done
  uint64_t confirm_within = 0;  // seconds; 0: it stays
  Sealed sealed = Sealed::no;
};

// Makes `checked`, which has compiled, the active policy. First time: keyring, hooks, pins; later
// only the keyring and a flip. A version below the active one, or the same version with other
// content, is refused: versions only increase. So is any policy while another awaits confirmation.
// A first policy that is to be confirmed falls back to itself in audit mode.
[[nodiscard]] Result<Applied> apply(const CheckedPolicy& checked, const ApplyOptions& options);

// Whether apply() would do anything: false where this very policy is active, with its keyring.
[[nodiscard]] Result<bool> would_change(const CheckedPolicy& checked);

// Whether loaders find the keyring of this image: not where a run was ended before, or another ring
// has displaced it.
[[nodiscard]] bool is_published(const bw_image& image);

// Of a run that has made its policy decide, and then failed: `undone` says what, and `how` names
// confirm(), which makes up for it.
[[nodiscard]] Error left_to_confirm(Error error, std::string_view undone, const char* how);

// For those who hold the Lock and may take a version back.
[[nodiscard]] Result<Applied> apply_locked(const CheckedPolicy& checked,
                                           const ApplyOptions& options, bool may_go_down);

// Likewise, where it has become active and awaits nobody: what the next boot comes up with.
[[nodiscard]] Status keep_for_boot(const Applied& applied, const bw_image& image);

// Likewise, where it has become active: seals the host if it says so, and notes that.
[[nodiscard]] Result<Applied> sealed_if_asked(Applied applied, const Progress& progress = {});

// Detaches the hooks and drops pins, policy and keyring, and the copies of policies. True if there
// was something to drop. `order`: where the active policy asks for one (by_order.h); null: none.
// What an order has released is taken away without another one.
[[nodiscard]] Result<bool> switch_off(const SignedRequest* order);

}  // namespace bpfwarden::loader
