// What the fuzz targets feed to the policy language.
#pragma once

#include "policy/language/parse.h"

namespace bpfwarden::policy::fuzz {

inline constexpr int64_t kNow = 1'800'000'000;  // 2027-01-15

// Every path holds one certificate that is of use; a key of its own for each path.
inline Result<std::vector<Certificate>> any_certificate(const std::filesystem::path& path) {
  Certificate info;
  info.path = path.string();
  info.subject = "CN=fuzz";
  info.fingerprint.fill(0xff);
  info.public_key.assign(32, static_cast<uint8_t>(info.path.size()));
  info.kernel_algorithm = "ecdsa-nist-p256";
  info.bits = 256;
  info.not_after = kNow + 1;
  return std::vector{info};
}

inline ParseResult parse_input(std::string_view text) {
  return parse({{"fuzz.toml", std::string(text)}}, any_certificate, kNow);
}

}  // namespace bpfwarden::policy::fuzz
