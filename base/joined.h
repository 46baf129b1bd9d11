// Words in one text.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace bpfwarden {

[[nodiscard]] inline std::string joined(std::span<const std::string> words,
                                        std::string_view between) {
  std::string text;
  for (const std::string& word : words) {
    if (!text.empty()) text += between;
    text += word;
  }
  return text;
}

}  // namespace bpfwarden
