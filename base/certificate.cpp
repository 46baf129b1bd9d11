#include "base/certificate.h"

#include <string_view>

namespace bpfwarden {

std::string hex(std::span<const uint8_t> bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const uint8_t byte : bytes) {
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
}

std::string fingerprint_text(const Certificate& certificate) {
  return "sha256:" + hex(certificate.fingerprint);
}

}  // namespace bpfwarden
