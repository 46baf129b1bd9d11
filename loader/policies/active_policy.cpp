#include "loader/policies/active_policy.h"

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

#include "loader/kernel/hooks.h"
#include "loader/kernel/seal.h"
#include "loader/policies/policy_store.h"

namespace bpfwarden::loader {

Result<std::optional<ActivePolicy>> read_active_policy() {
  auto pins = open_pins();
  if (!pins) return std::unexpected(std::move(pins).error());
  if (!*pins) return std::nullopt;
  auto word = read_control((*pins)->control.get());
  if (!word) return std::unexpected(std::move(word).error());
  if (auto decides = require_unreleased(*word); !decides)
    return std::unexpected(std::move(decides).error());
  auto generation =
      read_generation((*pins)->generations.get(), deciding_generation(*word, boot_time_ns()));
  if (!generation) return std::unexpected(std::move(generation).error());
  if (!*generation) return std::nullopt;
  return ActivePolicy{std::move(**pins), *word, std::move(**generation)};
}

Result<ActivePolicy> require_active_policy() {
  auto active = read_active_policy();
  if (!active) return std::unexpected(std::move(active).error());
  if (!*active) return fail("no policy is active", "run `bpfwarden apply POLICY` first");
  return std::move(**active);
}

bool same_policy(const bw_image& left, const bw_image& right) {
  const auto decided_by = [](const bw_image& image) {
    return std::string_view(reinterpret_cast<const char*>(&image), offsetof(bw_image, sealed));
  };
  return decided_by(left) == decided_by(right);
}

bool asks_for_maps(const bw_image& image) {
  const auto& less = image.signature[BW_SIGNATURE_PROG_ONLY].words;
  const auto& more = image.signature[BW_SIGNATURE_PROG_USED_MAPS].words;
  return !std::ranges::equal(less, more);
}

bool policy_in_kernel_asks_for_maps() {
  const auto open = [](const char* map) {
    return open_pin_to_read(std::string(kPinFolder) + "/map_" + map);
  };
  const Fd part = open("part");
  if (!part) return false;
  const auto whose = read_part(part.get());
  if (!whose || !require_readable(*whose)) return false;
  const Fd control = open("control"), generations = open("generations");
  if (!control || !generations) return false;
  const auto word = read_control(control.get());
  if (!word) return false;
  const auto asks = [&](uint64_t number) {
    const auto one = read_generation(generations.get(), number);
    return one && *one && asks_for_maps(*(*one)->image);
  };
  return asks(deciding_generation(*word, boot_time_ns())) || asks(word->staged);
}

Status require_newer(const bw_image& active, const bw_image& next) {
  if (next.policy_version > active.policy_version) return {};
  if (std::ranges::equal(active.policy_digest, next.policy_digest)) return {};
  const std::string numbers = "the active policy has version " +
                              std::to_string(active.policy_version) + ", this one " +
                              std::to_string(next.policy_version);
  if (next.policy_version == active.policy_version)
    return fail(numbers + ", with other content", "raise `version` in the policy file");
  return fail(numbers + ": versions only increase",
              "raise `version` above " + std::to_string(active.policy_version));
}

Status require_settled(const ActivePolicy& active) {
  if (!awaits_confirmation(active.word, boot_time_ns())) return {};
  return fail("the active policy awaits confirmation",
              "run `bpfwarden confirm` to keep it, or `bpfwarden rollback`");
}

Status require_hooks(const ActivePolicy& active) {
  const auto hooks = read_hooks(active.pins);
  if (!hooks) return std::unexpected(hooks.error());
  if (hooks->missing.empty()) return {};
  return fail(missing_hooks_text(*hooks), kMissingHooksHint);
}

void prune_copies(const PinnedMaps& pins) {
  const auto word = read_control(pins.control.get());
  if (!word) return;
  std::vector<Generation> needed;
  std::vector<PolicyDigest> digests;
  for (const uint64_t number : {word->generation, word->fallback, word->previous, word->staged}) {
    auto one = read_generation(pins.generations.get(), number);
    if (!one) return;  // which copy it needs nobody can say
    if (*one) needed.push_back(std::move(**one));
  }
  for (const Generation& one : needed) digests.emplace_back(one.image->policy_digest);
  prune_policies(digests);
}

}  // namespace bpfwarden::loader
