// X.509 certificates (RFC 5280), read from files into plain data.
//
// A Certificate says what the kernel will know of it once it is an "asymmetric" key; the mapping
// from OIDs to the kernel's names follows x509_extract_key_data() in
// crypto/asymmetric_keys/x509_cert_parser.c. Dates are data only: the kernel does not check them.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace bpfwarden::keyring {

using Digest = std::array<uint8_t, 32>;

struct Certificate {
  std::string path;                     // the file it came from
  std::string subject;                  // RFC 2253, printable ASCII
  std::string issuer;                   // likewise
  std::string serial_hex;               // as `openssl x509 -serial` prints it
  Digest fingerprint = {};              // SHA-256 of `der`
  std::vector<uint8_t> subject_key_id;  // empty when the certificate has none
  int64_t not_before = 0;               // Unix seconds
  int64_t not_after = 0;
  std::vector<uint8_t> public_key;  // subjectPublicKey's bits: the kernel's public_key.key
  std::string kernel_algorithm;     // the kernel's pkey_algo, such as "ecdsa-nist-p256"
  unsigned bits = 0;                // 0 when this OpenSSL does not know the algorithm
  bool is_ca = false;  // may issue others, as may_issue() in bpf-lsm/signed_by.bpf.h has it
  std::vector<uint8_t> der;
};

// Lower-case hexadecimal, without separators.
[[nodiscard]] std::string hex(std::span<const uint8_t> bytes);

// SHA-256 (FIPS 180-4). Aborts if libcrypto cannot compute it: no digest is better than a wrong
// one.
[[nodiscard]] Digest sha256(std::span<const uint8_t> bytes);

// Every certificate in PEM text, in order, or the one of DER. `name` is for errors and becomes
// Certificate::path. Errors: not a certificate, a key the kernel cannot verify with.
[[nodiscard]] Result<std::vector<Certificate>> parse_certificates(std::span<const uint8_t> bytes,
                                                                  const std::string& name);

// Reads every certificate in a PEM file, in order, or the one of a DER file; up to 1 MiB. Errors:
// unreadable (errno kept), not a certificate, a key the kernel cannot verify with.
[[nodiscard]] Result<std::vector<Certificate>> read_certificates(const std::filesystem::path& path);

}  // namespace bpfwarden::keyring
