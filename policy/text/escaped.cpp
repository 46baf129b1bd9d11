#include "policy/text/escaped.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <functional>

namespace bpfwarden::policy {
namespace {

size_t bytes_by_lead(unsigned char lead) {
  if (lead < 0x80) return 1;
  if (lead < 0xc2 || lead > 0xf4) return 0;
  return lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

bool is_continuation(char byte) { return (static_cast<unsigned char>(byte) & 0xc0) == 0x80; }

// Overlong forms and surrogates are none (RFC 3629).
bool is_scalar(uint32_t value, size_t bytes) {
  constexpr std::array<uint32_t, 5> least = {0, 0, 0x80, 0x800, 0x10000};
  return value >= least.at(bytes) && value <= 0x10ffff && (value < 0xd800 || value > 0xdfff);
}

bool is_harmful(uint32_t point) {
  struct Range {
    uint32_t first, last;
  };
  constexpr Range ranges[] = {
      {0x00, 0x08},     {0x0b, 0x1f},     {0x7f, 0x9f},      // C0, DEL, C1
      {0x061c, 0x061c}, {0x200b, 0x200f}, {0x2028, 0x202e},  // direction, no width, lines
      {0x2060, 0x206f}, {0xfeff, 0xfeff}, {0xfff9, 0xfffb}};
  return std::ranges::any_of(
      ranges, [&](const Range& range) { return point >= range.first && point <= range.last; });
}

std::string escape(uint32_t value) {
  char text[16] = "";
  std::snprintf(text, sizeof(text), "\\u%04x", value);
  return text;
}

}  // namespace

Point first_point(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text.front());
  const size_t bytes = bytes_by_lead(lead);
  if (bytes == 0 || bytes > text.size()) return {};
  uint32_t value = bytes == 1 ? lead : lead & (0x7fU >> bytes);
  for (size_t i = 1; i < bytes; i++) {
    if (!is_continuation(text[i])) return {};
    value = value << 6 | (static_cast<unsigned char>(text[i]) & 0x3fU);
  }
  return is_scalar(value, bytes) ? Point{value, bytes} : Point{};
}

size_t width_of(std::string_view text) {
  return static_cast<size_t>(std::ranges::count_if(text, std::not_fn(is_continuation)));
}

std::string escaped(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    const Point point = first_point(text);
    const size_t bytes = std::max<size_t>(point.bytes, 1);
    if (point.bytes == 0)
      result += escape(static_cast<unsigned char>(text.front()));
    else if (is_harmful(point.value))
      result += escape(point.value);
    else
      result += text.substr(0, bytes);
    text.remove_prefix(bytes);
  }
  return result;
}

size_t unfinished_bytes(std::string_view text) {
  for (size_t back = 1; back <= std::min<size_t>(text.size(), 3); back++) {
    const char byte = text[text.size() - back];
    if (is_continuation(byte)) continue;
    return bytes_by_lead(static_cast<unsigned char>(byte)) > back ? back : 0;
  }
  return 0;
}

}  // namespace bpfwarden::policy
