#include "loader/apply.h"

#include <algorithm>
#include <ctime>
#include <string>

#include "loader/pins.h"
#include "loader/probe.h"
#include "loader/publish.h"
#include "loader/warden.h"

namespace bpfwarden::loader {
namespace {

uint64_t boot_time_ns() {
  timespec now = {};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

Status require_kernel() {
  const auto found = probe_kernel();
  const Capability* missing = first_missing(found);
  if (missing == nullptr) return {};
  return fail("this kernel cannot enforce a policy: " + missing->name + ": " + missing->detail,
              missing->remedy + "; `bpfwarden doctor` lists everything");
}

bool same_digest(const bw_image& left, const bw_image& right) {
  return std::ranges::equal(left.policy_digest, right.policy_digest);
}

Status require_newer(const bw_image& active, const bw_image& next) {
  if (next.policy_version > active.policy_version) return {};
  const std::string numbers = "the active policy has version " +
                              std::to_string(active.policy_version) + ", this one " +
                              std::to_string(next.policy_version);
  if (next.policy_version == active.policy_version)
    return fail(numbers + ", with other content", "raise `version` in the policy file");
  return fail(numbers + ": versions only increase",
              "raise `version` above " + std::to_string(active.policy_version));
}

// The image with the serials that the kernel part protects.
Result<std::unique_ptr<bw_image>> with_ring(const bw_image& image, keyring::KeySerial ring) {
  const auto keys = keyring::ring_keys(ring);
  if (!keys) return std::unexpected(keys.error());
  if (keys->size() > BW_MAX_SEALED)
    return fail("the policy names " + std::to_string(keys->size()) + " certificates; " +
                    std::to_string(BW_MAX_SEALED) + " fit into the keyring",
                "take out certificates that are no longer used, or name their CA as `issuer`");
  auto filled = std::make_unique<bw_image>(image);
  filled->sealed.ring = ring;
  filled->sealed.key_count = static_cast<uint32_t>(keys->size());
  std::ranges::copy(*keys, filled->sealed.keys);
  return filled;
}

Result<Applied> apply_first(const bw_image& image, keyring::KeySerial ring) {
  auto warden = Warden::load();
  if (!warden) return std::unexpected(std::move(warden).error());
  auto generation = publish(warden->control(), warden->generations(), image);
  if (!generation) return std::unexpected(std::move(generation).error());
  if (auto attached = warden->attach(); !attached)
    return std::unexpected(std::move(attached).error());
  // Programs older than this instant never passed our hooks: they are resident.
  const bw_control word = {.generation = *generation, .attached_ns = boot_time_ns()};
  if (auto written = write_control(warden->control(), word); !written)
    return std::unexpected(std::move(written).error());
  if (auto published = keyring::publish_ring(ring); !published)
    return std::unexpected(std::move(published).error());
  if (auto pinned = warden->pin(); !pinned) {
    (void)keyring::drop_ring(kRingName);  // the first error is the one to report
    return std::unexpected(std::move(pinned).error());
  }
  return Applied{.generation = *generation, .ring = ring, .first = true, .unchanged = false};
}

// The old ring goes only after the flip; the kernel replaces it by the new one in a single step.
Result<Applied> apply_next(const bw_image& image, const PinnedMaps& pins, keyring::KeySerial ring) {
  auto generation = publish(pins.control.get(), pins.generations.get(), image);
  if (!generation) return std::unexpected(std::move(generation).error());
  if (auto published = keyring::publish_ring(ring); !published)
    return std::unexpected(std::move(published).error().within(
        "the policy is active, but its keyring could not be published"));
  return Applied{.generation = *generation, .ring = ring, .first = false, .unchanged = false};
}

}  // namespace

Result<Applied> apply(const CompiledPolicy& compiled) {
  if (auto fit = require_kernel(); !fit) return std::unexpected(std::move(fit).error());
  auto lock = Lock::take();
  if (!lock) return std::unexpected(std::move(lock).error());
  auto pins = open_pins();
  if (!pins) return std::unexpected(std::move(pins).error());
  if (*pins) {
    auto active = read_active((*pins)->control.get(), (*pins)->generations.get());
    if (!active) return std::unexpected(std::move(active).error());
    if (*active && same_digest(*(*active)->image, *compiled.image)) {
      auto ring = keyring::find_ring(kRingName);
      // Another ring under that name has displaced ours: apply again.
      if (ring && *ring == (*active)->image->sealed.ring)
        return Applied{
            .generation = (*active)->number, .ring = *ring, .first = false, .unchanged = true};
    } else if (*active) {
      if (auto newer = require_newer(*(*active)->image, *compiled.image); !newer)
        return std::unexpected(std::move(newer).error());
    }
  }
  auto ring = keyring::create_sealed_ring(kRingName, compiled.certificates);
  if (!ring) return std::unexpected(std::move(ring).error());
  const auto image = with_ring(*compiled.image, *ring);
  if (!image) return std::unexpected(image.error());
  return *pins ? apply_next(**image, **pins, *ring) : apply_first(**image, *ring);
}

Result<bool> switch_off() {
  auto lock = Lock::take();
  if (!lock) return std::unexpected(std::move(lock).error());
  const bool was_pinned = !pinned_links().empty();
  if (auto removed = remove_pins(); !removed) return std::unexpected(std::move(removed).error());
  if (!keyring::find_ring(kRingName)) return was_pinned;
  if (auto dropped = keyring::drop_ring(kRingName); !dropped)
    return std::unexpected(std::move(dropped).error());
  return true;
}

}  // namespace bpfwarden::loader
