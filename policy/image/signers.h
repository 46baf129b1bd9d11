// Who signed, as policies and people name them, over the one look-up of bpf-lsm/signer.h.
//
// Pure functions of an image; slots are of that image.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/result.h"
#include "bpf-lsm/signer.h"
#include "policy/language/model.h"

namespace bpfwarden::policy {

// As the kernel has a key, see base/certificate.h. Of length 0 where it is none or does not fit.
[[nodiscard]] bw_key kernel_key(std::span<const uint8_t> public_key, std::string_view algorithm);
[[nodiscard]] bw_key kernel_key(const Certificate& certificate);

// The evidence of a signature by that key alone.
[[nodiscard]] bw_signed_by signed_by(const bw_key& key);

// The evidence of a signature by a key whose certificate that of `issuer` issued; `may_issue`: as
// its own certificate says.
[[nodiscard]] bw_signed_by issued_by(const bw_key& issuer, bool may_issue);

// The slot of the signer that stands for key `name` of the policy: the first of its certificates,
// or issuers, that counts. BW_SIGNER_UNKNOWN where none does, for all are revoked, or may not
// issue. Errors: there is no such key; the hint lists those there are.
[[nodiscard]] Result<uint32_t> signer_slot(const bw_image& image, const Policy& policy,
                                           std::string_view name);

// Likewise, of the key's certificates and issuers only the one of that fingerprint, as
// fingerprint_text() has it. Errors: the key has none such.
[[nodiscard]] Result<uint32_t> signer_slot(const bw_image& image, const Policy& policy,
                                           std::string_view name, std::string_view certificate);

// Where only the name that an image gave a signer is left, as in an event: the first slot of that
// name which counts; BW_SIGNER_UNKNOWN if there is none.
[[nodiscard]] uint32_t slot_named(const bw_image& image, std::string_view name);

}  // namespace bpfwarden::policy
