// Whose signature a CMS message is, as the kernel finds it against a keyring: the message's own
// certificates lead from who signed to one that is trusted.
//
// Follows pkcs7_verify() (crypto/asymmetric_keys/pkcs7_verify.c) and pkcs7_validate_trust_one()
// (pkcs7_trust.c): no dates, no names but those that link certificates, and a signer that is named
// by its key identifier is looked for among the trusted ones alone.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "keyring/x509.h"

namespace bpfwarden::keyring {

struct CmsChain {
  Certificate trusted;             // whose key the kernel verifies with
  std::vector<Certificate> below;  // who signed, then up to what `trusted` issued; empty: it signed

  [[nodiscard]] const Certificate& signer() const {
    return below.empty() ? trusted : below.front();
  }
  bool operator==(const CmsChain& other) const;  // the same certificates
};

// Errors: as of verify_detached(); a certificate in the message that is not what the next one
// issued; nobody in `trusted` vouches for who signed, whom the message then names.
[[nodiscard]] Result<CmsChain> verify_chain(std::span<const uint8_t> content,
                                            std::span<const uint8_t> der,
                                            std::span<const Certificate> trusted);

}  // namespace bpfwarden::keyring
