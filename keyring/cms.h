// Detached CMS signatures (RFC 5652) in the shapes bpfwarden writes: a single signer, SHA-256, no
// attributes, DER. A certificate that somebody else issued travels along, and the signer is named
// by its issuer and serial number: so the kernel finds a trusted issuer as well as the key itself.
// One that is its own issuer does not; the signer is named by its subject key id.
//
// The kernel's parser is crypto/asymmetric_keys/pkcs7.asn1; pkcs7_validate_trust() finds the key in
// a keyring.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "keyring/private_key.h"
#include "keyring/x509.h"

namespace bpfwarden::keyring {

struct CmsInfo {
  size_t signers = 0;
  std::vector<uint8_t> subject_key_id;  // of the first signer; empty when it is named otherwise
  std::string digest_algorithm;         // of the first signer, as OpenSSL writes it: "sha256"
};

// Errors: the key does not belong to the certificate; the certificate has no subject key id, or no
// authority key id though it is issued; the key type cannot sign with SHA-256.
[[nodiscard]] Result<std::vector<uint8_t>> sign_detached(std::span<const uint8_t> content,
                                                         const PrivateKey& key,
                                                         const Certificate& certificate);

// What a signature claims; verifies nothing. Errors: not one DER CMS SignedData.
[[nodiscard]] Result<CmsInfo> inspect_cms(std::span<const uint8_t> der);

// Whether `der` is `certificate`'s signature over `content`, with the key only: dates, usage and
// issuer do not count, as in the kernel. Refuses content inside the signature, and any number of
// signers but one.
[[nodiscard]] Status verify_detached(std::span<const uint8_t> content, std::span<const uint8_t> der,
                                     const Certificate& certificate);

}  // namespace bpfwarden::keyring
