#include "loader/text/time_text.h"

#include <array>
#include <ctime>
#include <utility>

namespace bpfwarden::loader {

std::string local_time(int64_t unix_seconds) {
  const time_t seconds = unix_seconds;
  tm local = {};
  std::array<char, 64> text = {};
  if (::localtime_r(&seconds, &local) == nullptr) return "?";
  if (std::strftime(text.data(), text.size(), "%F %T %Z", &local) == 0) return "?";
  return text.data();
}

std::string ago_text(int64_t seconds) {
  static constexpr auto units = std::to_array<std::pair<int64_t, std::string_view>>(
      {{86400, "day"}, {3600, "hour"}, {60, "minute"}, {1, "second"}});
  if (seconds < 1) return "just now";
  for (const auto& [size, name] : units) {
    if (seconds < size) continue;
    const int64_t count = seconds / size;
    return std::to_string(count) + " " + std::string(name) + (count == 1 ? " ago" : "s ago");
  }
  return "just now";
}

}  // namespace bpfwarden::loader
