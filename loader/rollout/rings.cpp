#include "loader/rollout/rings.h"

#include <algorithm>
#include <string>

#include "loader/policies/policy_store.h"
#include "loader/rollout/apply.h"

namespace bpfwarden::loader {
namespace {

Result<bw_sealed> serials_of(keyring::KeySerial ring) {
  const auto keys = keyring::ring_keys(ring);
  if (!keys) return std::unexpected(keys.error());
  if (keys->size() > BW_MAX_SEALED)
    return fail("the policy names " + std::to_string(keys->size()) + " certificates; " +
                    std::to_string(BW_MAX_SEALED) + " fit into the keyring",
                "take out certificates that are no longer used, or name their CA as `issuer`");
  bw_sealed sealed = {};
  sealed.ring = ring;
  sealed.key_count = static_cast<uint32_t>(keys->size());
  std::ranges::copy(*keys, sealed.keys);
  return sealed;
}

Status add_certificates(std::vector<Certificate>& certificates, const bw_image& fallback) {
  auto other = load_policy(fallback.policy_digest);
  if (!other)
    return std::unexpected(
        std::move(other).error().within("the policy to fall back to cannot be read"));
  for (auto& certificate : other->compiled->certificates)
    if (std::ranges::find(certificates, certificate.fingerprint, &Certificate::fingerprint) ==
        certificates.end())
      certificates.push_back(std::move(certificate));
  return {};
}

}  // namespace

Result<PolicyRing> make_ring(const CompiledPolicy& compiled, const bw_image* fallback) {
  std::vector<Certificate> certificates = compiled.certificates;
  if (fallback != nullptr)
    if (auto added = add_certificates(certificates, *fallback); !added)
      return std::unexpected(std::move(added).error());
  auto ring = keyring::create_sealed_ring(kRingName, certificates);
  if (!ring) return std::unexpected(std::move(ring).error());
  auto sealed = serials_of(*ring);
  if (!sealed) return std::unexpected(std::move(sealed).error());
  return PolicyRing{*ring, *sealed};
}

Result<PolicyRing> adopt_or_make_ring(const CompiledPolicy& compiled) {
  const auto ring = keyring::find_ring(kRingName);
  const auto has = [&](const Certificate& certificate) {
    return keyring::find_key(*ring, certificate).has_value();
  };
  if (!ring || !std::ranges::all_of(compiled.certificates, has))
    return make_ring(compiled, nullptr);
  const auto keys = serials_of(*ring);
  if (!keys) return std::unexpected(keys.error());
  return PolicyRing{*ring, *keys};
}

Status publish_policy_ring(keyring::KeySerial serial) {
  auto published = keyring::publish_ring(serial);
  if (published) return {};
  return std::unexpected(left_to_confirm(
      std::move(published).error(), "the policy is active, but its keyring could not be published",
      "then `bpfwarden confirm` publishes it"));
}

}  // namespace bpfwarden::loader
