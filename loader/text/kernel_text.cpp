#include "loader/text/kernel_text.h"

#include <algorithm>
#include <cstring>

namespace bpfwarden::loader {

std::string kernel_text(const void* bytes, size_t size) {
  const char* start = static_cast<const char*>(bytes);
  std::string text(start, ::strnlen(start, size));
  std::ranges::replace_if(text, [](char c) { return c < 0x20 || c >= 0x7f; }, '?');
  return text;
}

}  // namespace bpfwarden::loader
