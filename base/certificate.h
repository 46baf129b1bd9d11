// A certificate as data: what its file says, and what the kernel will know of it once it is an
// "asymmetric" key. keyring/x509.h reads them; policies name them. Dates are data only: the kernel
// does not check them.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace bpfwarden {

using Digest = std::array<uint8_t, 32>;  // SHA-256

// Lower-case hexadecimal, without separators.
[[nodiscard]] std::string hex(std::span<const uint8_t> bytes);

struct Certificate {
  std::string path;                     // the file it came from
  std::string subject;                  // RFC 2253, printable ASCII
  std::string issuer;                   // likewise
  std::string serial_hex;               // as `openssl x509 -serial` prints it
  Digest fingerprint = {};              // of `der`
  std::vector<uint8_t> subject_key_id;  // empty when the certificate has none
  int64_t not_before = 0;               // Unix seconds
  int64_t not_after = 0;
  // subjectPublicKey's bits, and the kernel's pkey_algo, such as "ecdsa-nist-p256": by both it
  // knows a key (struct public_key in include/crypto/public_key.h).
  std::vector<uint8_t> public_key;
  std::string kernel_algorithm;
  Digest key_digest = {};  // of `public_key`
  unsigned bits = 0;       // 0 when this OpenSSL does not know the algorithm
  bool is_ca = false;      // may issue others, as may_issue() in bpf-lsm/signed_by.bpf.h has it
  std::vector<uint8_t> der;
};

// "sha256:" and the fingerprint: how policies and people name it.
[[nodiscard]] std::string fingerprint_text(const Certificate& certificate);

}  // namespace bpfwarden
