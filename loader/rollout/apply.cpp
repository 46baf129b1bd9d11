#include "loader/rollout/apply.h"

#include <algorithm>
#include <filesystem>
#include <string>

#include "loader/btf/harden_tables.h"
#include "loader/kernel/guard.h"
#include "loader/kernel/hooks.h"
#include "loader/kernel/pins.h"
#include "loader/kernel/seal.h"
#include "loader/kernel/warden.h"
#include "loader/policies/active_policy.h"
#include "loader/policies/host_mounts.h"
#include "loader/policies/policy_store.h"
#include "loader/policies/publish.h"
#include "loader/rollout/apply_signed.h"
#include "loader/rollout/by_order.h"
#include "loader/rollout/probe.h"
#include "loader/rollout/rings.h"
#include "loader/text/moment.h"

namespace bpfwarden::loader {
namespace {

Error not_saved(Error error) {
  return left_to_confirm(std::move(error), "the policy is active, but not saved for the next boot",
                         "then `bpfwarden confirm` saves it");
}

Status require_kernel() {
  const auto found = probe_kernel();
  const Capability* missing = first_missing(found);
  if (missing == nullptr) return {};
  return fail("this kernel cannot enforce a policy: " + missing->name + ": " + missing->detail,
              missing->remedy + "; `bpfwarden doctor` lists everything");
}

uint64_t seconds_to_confirm(const ApplyOptions& options, const bw_image* active,
                            const bw_image& next) {
  if (options.confirm_within) return *options.confirm_within;
  const bool enforced = active != nullptr && active->mode == BW_MODE_ENFORCE;
  return next.mode == BW_MODE_ENFORCE && !enforced ? kDefaultConfirmSeconds : 0;
}

struct Ready {
  std::unique_ptr<bw_image> image;  // with the serials of its keyring
  keyring::KeySerial ring = 0;
};

Result<Ready> with_ring(const CompiledPolicy& compiled, const bw_image* fallback) {
  const auto ring = make_ring(compiled, fallback);
  if (!ring) return std::unexpected(ring.error());
  auto image = std::make_unique<bw_image>(*compiled.image);
  image->sealed = ring->keys;
  return Ready{.image = std::move(image), .ring = ring->serial};
}

// With a deadline the same policy in audit mode comes first, for that to be there to fall back to.
Result<uint64_t> publish_first(const Warden& warden, const bw_image& image,
                               const ApplyOptions& options, uint64_t within_s) {
  if (within_s == 0)
    return publish(warden.control(), warden.generations(), image, std::nullopt, options.next_root);
  auto audit = publish(warden.control(), warden.generations(), *in_audit_mode(image));
  if (!audit) return audit;
  return publish(warden.control(), warden.generations(), image,
                 Deadline{.within_ns = within_s * kNanosPerSecond, .fallback = *audit});
}

// Programs older than this instant never passed our hooks: they are resident.
Status note_attached(const Warden& warden) {
  auto word = read_control(warden.control());
  if (!word) return std::unexpected(std::move(word).error());
  word->attached_ns = boot_time_ns();
  return write_control(warden.control(), *word);
}

void tell(const ApplyOptions& options, const std::string& what) {
  if (options.progress) options.progress(what);
}

Result<Applied> apply_first(const CompiledPolicy& compiled, const ApplyOptions& options,
                            uint64_t within_s) {
  auto ready = with_ring(compiled, nullptr);
  if (!ready) return std::unexpected(std::move(ready).error());
  tell(options, "loading the hooks: the kernel verifies them, which may take a minute");
  auto warden = Warden::load(seals(*compiled.image));
  if (!warden) return std::unexpected(std::move(warden).error());
  auto generation = publish_first(*warden, *ready->image, options, within_s);
  if (!generation) return std::unexpected(std::move(generation).error());
  tell(options, "attaching the hooks");
  if (auto attached = warden->attach(); !attached)
    return std::unexpected(std::move(attached).error());
  if (auto noted = note_attached(*warden); !noted) return std::unexpected(std::move(noted).error());
  if (auto published = keyring::publish_ring(ready->ring); !published)
    return std::unexpected(std::move(published).error());
  if (auto pinned = warden->pin(options.next_root); !pinned) {
    (void)keyring::drop_ring(kRingName);  // the first error is the one to report
    return std::unexpected(std::move(pinned).error());
  }
  return Applied{.generation = *generation,
                 .ring = ready->ring,
                 .first = true,
                 .unchanged = false,
                 .confirm_within = within_s,
                 .sealed = Sealed::no};
}

// The old ring goes only after the flip; the kernel replaces it by the new one in a single step.
Result<Applied> apply_next(const CompiledPolicy& compiled, const ActivePolicy& active,
                           uint64_t within_s) {
  const bw_image* fallback = within_s != 0 ? active.generation.image.get() : nullptr;
  auto ready = with_ring(compiled, fallback);
  if (!ready) return std::unexpected(std::move(ready).error());
  std::optional<Deadline> deadline;
  if (within_s != 0)
    deadline = {.within_ns = within_s * kNanosPerSecond, .fallback = active.generation.number};
  auto generation =
      publish(active.pins.control.get(), active.pins.generations.get(), *ready->image, deadline);
  if (!generation) return std::unexpected(std::move(generation).error());
  if (auto published = publish_policy_ring(ready->ring); !published)
    return std::unexpected(std::move(published).error());
  return Applied{.generation = *generation,
                 .ring = ready->ring,
                 .first = false,
                 .unchanged = false,
                 .confirm_within = within_s,
                 .sealed = Sealed::no};
}

// A host that is not sealed may ask for signatures as well.
Status require_free(const ActivePolicy& active) {
  if (!asks_for_signatures(*active.generation.image)) return {};
  return fail("the active policy is replaced by signed ones alone (`policy-signed-by`)",
              "`bpfwarden compile POLICY -o FOLDER --key KEY --cert CERTIFICATE`, then `bpfwarden "
              "apply FOLDER`");
}

// By a run that was ended after the policy had become active.
Result<Applied> made_up_for(const Applied& done, const CheckedPolicy& checked,
                            const ApplyOptions& options) {
  if (done.confirm_within == 0 && !options.at_boot) {
    if (auto saved = save_policy(checked); !saved)
      return std::unexpected(not_saved(std::move(saved).error()));
    if (auto kept = keep_for_boot(done, *checked.compiled->image); !kept)
      return std::unexpected(std::move(kept).error());
  }
  return sealed_if_asked(done, options.progress);
}

bool names_files_as_now(const bw_image& image) {
  const auto now = std::make_unique<bw_image>();
  return note_mounts(*now) && have_same_mounts(*now, image);
}

// The very same policy, with its keyring where loaders find it, and no other mounts: nothing is
// left to do.
std::optional<Applied> already_active(const ActivePolicy& active, const bw_image& image) {
  if (!same_policy(*active.generation.image, image)) return std::nullopt;
  if (!is_sealed(active.word) && !names_files_as_now(*active.generation.image)) return std::nullopt;
  // Another ring under that name has displaced ours: apply again.
  if (!is_published(*active.generation.image)) return std::nullopt;
  return Applied{.generation = active.generation.number,
                 .ring = active.generation.image->sealed.ring,
                 .first = false,
                 .unchanged = true,
                 .confirm_within = seconds_left(active.word, boot_time_ns()),
                 .sealed = is_sealed(active.word) ? Sealed::now : Sealed::no};
}

// Of a sealed host process 1 has the links as well (packaging/systemd/bpfwarden.service).
Error kept_by_others(Error error) {
  std::error_code ignored;  // what cannot be looked at is not systemd's
  if (std::filesystem::exists("/run/systemd/system", ignored))
    error.hint =
        "nothing is decided any more; systemd keeps the links: `systemctl stop bpfwarden && "
        "systemctl clean --what=fdstore bpfwarden`, then `bpfwarden off`";
  return error;
}

}  // namespace

bool is_published(const bw_image& image) {
  const auto ring = keyring::find_ring(kRingName);
  return ring && *ring == image.sealed.ring;
}

Error left_to_confirm(Error error, std::string_view undone, const char* how) {
  error = std::move(error).within(undone);
  if (error.hint.empty()) error.hint = how;
  return error;
}

Status keep_for_boot(const Applied& applied, const bw_image& image) {
  if (applied.confirm_within != 0) return {};  // confirm() does
  auto saved = save_for_boot(image);
  if (saved) return {};
  return std::unexpected(not_saved(std::move(saved).error()));
}

Result<Applied> sealed_if_asked(Applied applied, const Progress& progress) {
  const auto sealed = seal_if_asked(progress);
  if (!sealed)
    return std::unexpected(
        Error(sealed.error()).within("the policy is active, but the host is not sealed"));
  applied.sealed = *sealed;
  return applied;
}

Result<Applied> apply_locked(const CheckedPolicy& checked, const ApplyOptions& options,
                             bool may_go_down) {
  const CompiledPolicy& compiled = *checked.compiled;
  // At boot a policy that closes less is better than none; `status` says what is open.
  if (!options.at_boot)
    if (auto fit = require_hardening(compiled.image->harden); !fit)
      return std::unexpected(std::move(fit).error());
  auto active = read_active_policy();
  if (!active) return std::unexpected(std::move(active).error());
  if (*active) {
    if (auto whole = require_hooks(**active); !whole)
      return std::unexpected(std::move(whole).error());
    if (const auto done = already_active(**active, *compiled.image))
      return made_up_for(*done, checked, options);
    if (auto open = require_unsealed((*active)->word); !open)
      return std::unexpected(std::move(open).error());
    if (auto settled = require_settled(**active); !settled)
      return std::unexpected(std::move(settled).error());
    if (!options.at_boot)
      if (auto free = require_free(**active); !free)
        return std::unexpected(std::move(free).error());
    const auto newer = require_newer(*(*active)->generation.image, *compiled.image);
    if (!newer && !may_go_down) return std::unexpected(newer.error());
  }
  const bw_image* before = *active ? (*active)->generation.image.get() : nullptr;
  const uint64_t within = seconds_to_confirm(options, before, *compiled.image);
  if (auto saved = save_policy(checked); !saved) return std::unexpected(std::move(saved).error());
  auto applied =
      *active ? apply_next(compiled, **active, within) : apply_first(compiled, options, within);
  if (!applied) return applied;
  if (!options.at_boot)
    if (auto kept = keep_for_boot(*applied, *compiled.image); !kept)
      return std::unexpected(std::move(kept).error());
  if (*active) prune_copies((*active)->pins);
  return sealed_if_asked(*applied, options.progress);
}

Result<Applied> apply(const CheckedPolicy& checked, const ApplyOptions& options) {
  // Where hooks are there, the kernel has what they need.
  if (pinned_links().empty())
    if (auto fit = require_kernel(); !fit) return std::unexpected(std::move(fit).error());
  auto lock = Lock::take();
  if (!lock) return std::unexpected(std::move(lock).error());
  return apply_locked(checked, options, options.at_boot);
}

Result<bool> would_change(const CheckedPolicy& checked) {
  auto active = read_active_policy();
  if (!active) return std::unexpected(std::move(active).error());
  if (!*active) return true;
  if (auto whole = require_hooks(**active); !whole)
    return std::unexpected(std::move(whole).error());
  return !already_active(**active, *checked.compiled->image).has_value();
}

Result<bool> switch_off(const SignedRequest* order) {
  auto lock = Lock::take();
  if (!lock) return std::unexpected(std::move(lock).error());
  // Of a kernel part that cannot be read, the kernel itself says no.
  if (const auto active = read_active_policy(); active && *active)
    if (auto open = order != nullptr ? release(**active, *order)
                                     : require_no_order(**active, BW_REQUEST_OFF);
        !open)
      return std::unexpected(std::move(open).error());
  if (auto detached = detach_guard(); !detached)
    return std::unexpected(std::move(detached).error());
  const bool was_pinned = !pinned_links().empty();
  if (auto removed = remove_pins(own_programs()); !removed)
    return std::unexpected(order != nullptr ? kept_by_others(std::move(removed).error())
                                            : std::move(removed).error());
  if (auto forgotten = forget_policies(); !forgotten)
    return std::unexpected(std::move(forgotten).error());
  if (!keyring::find_ring(kRingName)) return was_pinned;
  if (auto dropped = keyring::drop_ring(kRingName); !dropped)
    return std::unexpected(std::move(dropped).error());
  return true;
}

}  // namespace bpfwarden::loader
