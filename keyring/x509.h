// X.509 certificates (RFC 5280), read from files into plain data.
//
// The mapping from OIDs to the kernel's names follows x509_extract_key_data() in
// crypto/asymmetric_keys/x509_cert_parser.c.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "base/certificate.h"
#include "base/result.h"

namespace bpfwarden::keyring {

using bpfwarden::Certificate;
using bpfwarden::Digest;

// SHA-256 (FIPS 180-4). Aborts if libcrypto cannot compute it: no digest is better than a wrong
// one.
[[nodiscard]] Digest sha256(std::span<const uint8_t> bytes);

// RFC 4648, padded, on one line.
[[nodiscard]] std::string base64(std::span<const uint8_t> bytes);

// Every certificate in PEM text, in order, or the one of DER. `name` is for errors and becomes
// Certificate::path. Errors: not a certificate, a key the kernel cannot verify with.
[[nodiscard]] Result<std::vector<Certificate>> parse_certificates(std::span<const uint8_t> bytes,
                                                                  const std::string& name);

// Reads every certificate in a PEM file, in order, or the one of a DER file; up to 1 MiB. Errors:
// unreadable (errno kept), not a certificate, a key the kernel cannot verify with.
[[nodiscard]] Result<std::vector<Certificate>> read_certificates(const std::filesystem::path& path);

}  // namespace bpfwarden::keyring
