#include "policy/image/signers.h"

#include <cstring>
#include <string>

namespace bpfwarden::policy {
namespace {

uint32_t keyring_slot(const Key& key) {
  return key.keyring ? static_cast<uint32_t>(*key.keyring) : uint32_t{BW_SIGNER_UNKNOWN};
}

// Of all certificates and issuers of the key, or of those that are called so.
uint32_t slot_for(const bw_image& image, const Key& key, std::string_view only) {
  const uint32_t keyring = keyring_slot(key);
  if (is_whole_keyring(key)) return keyring;
  for (const Certificate& certificate : key.certificates) {
    if (!only.empty() && fingerprint_text(certificate) != only) continue;
    const bw_signed_by by = signed_by(kernel_key(certificate));
    const uint32_t slot = bw_find_signer(&image, &by, keyring);
    if (slot != BW_SIGNER_UNKNOWN) return slot;
  }
  for (const Certificate& issuer : key.issuers) {
    if (!only.empty() && fingerprint_text(issuer) != only) continue;
    const bw_signed_by by = issued_by(kernel_key(issuer), issuer.is_ca);
    const uint32_t slot = bw_find_signer(&image, &by, keyring);
    if (slot != BW_SIGNER_UNKNOWN) return slot;
  }
  return BW_SIGNER_UNKNOWN;
}

Result<const Key*> key_named(const Policy& policy, std::string_view name) {
  std::string known;
  for (const Key& key : policy.keys) {
    if (key.name == name) return &key;
    known += (known.empty() ? "`" : ", `") + key.name + "`";
  }
  return fail("the policy has no key `" + std::string(name) + "`",
              known.empty() ? "it has no keys at all" : "it has " + known);
}

}  // namespace

bw_key kernel_key(std::span<const uint8_t> public_key, std::string_view algorithm) {
  bw_key key = {};
  if (public_key.empty() || public_key.size() >= BW_KEY_SIZE ||
      algorithm.size() >= BW_ALGORITHM_SIZE)
    return key;
  key.length = static_cast<uint32_t>(public_key.size());
  std::memcpy(key.bytes, public_key.data(), public_key.size());
  std::memcpy(key.algorithm, algorithm.data(), algorithm.size());
  return key;
}

bw_key kernel_key(const Certificate& certificate) {
  return kernel_key(certificate.public_key, certificate.kernel_algorithm);
}

bw_signed_by signed_by(const bw_key& key) {
  bw_signed_by by = {};
  by.evidence = BW_EVIDENCE_SOLE_SIGNER;
  by.verified = key;
  return by;
}

bw_signed_by issued_by(const bw_key& issuer, bool may_issue) {
  bw_signed_by by = {};
  by.evidence = BW_EVIDENCE_ISSUER;
  by.may_issue = may_issue;
  by.verified = issuer;
  return by;
}

Result<uint32_t> signer_slot(const bw_image& image, const Policy& policy, std::string_view name) {
  const auto key = key_named(policy, name);
  if (!key) return std::unexpected(key.error());
  return slot_for(image, **key, {});
}

Result<uint32_t> signer_slot(const bw_image& image, const Policy& policy, std::string_view name,
                             std::string_view certificate) {
  const auto key = key_named(policy, name);
  if (!key) return std::unexpected(key.error());
  std::string known;
  for (const auto* certificates : {&(*key)->certificates, &(*key)->issuers})
    for (const Certificate& one : *certificates) {
      if (fingerprint_text(one) == certificate) return slot_for(image, **key, certificate);
      known += (known.empty() ? "`" : ", `") + fingerprint_text(one) + "`";
    }
  return fail(
      "key `" + std::string(name) + "` has no certificate `" + std::string(certificate) + "`",
      known.empty() ? "it has none at all" : "it has " + known);
}

uint32_t slot_named(const bw_image& image, std::string_view name) {
  for (uint32_t slot = BW_SIGNER_BUILTIN; !name.empty() && slot < image.signer_count; slot++) {
    if (image.signers[slot].kind == BW_SIGNER_REVOKED || name != image.signers[slot].name) continue;
    const uint32_t counts = bw_unless_revoked(&image, slot);
    if (counts != BW_SIGNER_UNKNOWN) return counts;
  }
  return BW_SIGNER_UNKNOWN;
}

}  // namespace bpfwarden::policy
