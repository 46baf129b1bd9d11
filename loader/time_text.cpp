#include "loader/time_text.h"

#include <array>
#include <charconv>
#include <ctime>
#include <utility>

namespace bpfwarden::loader {

std::string local_time(int64_t unix_seconds) {
  const time_t seconds = unix_seconds;
  tm local = {};
  std::array<char, sizeof("2026-11-24 12:00:00") + 8> text = {};
  if (::localtime_r(&seconds, &local) == nullptr) return "?";
  if (std::strftime(text.data(), text.size(), "%F %T", &local) == 0) return "?";
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

std::optional<int64_t> since_seconds(std::string_view text, int64_t now) {
  static constexpr auto units =
      std::to_array<std::pair<char, int64_t>>({{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}});
  if (text.empty()) return std::nullopt;
  int64_t count = 0;
  const std::string number(text.substr(0, text.size() - 1));
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), count);
  const bool is_whole = error == std::errc() && end == number.data() + number.size();
  if (is_whole && count > 0 && count < INT32_MAX)
    for (const auto& [unit, seconds] : units)
      if (unit == text.back()) return now - count * seconds;
  if (text.find('T') != std::string_view::npos) return utc_seconds(text);
  return utc_seconds(std::string(text) + "T00:00:00Z");
}

std::optional<int64_t> utc_seconds(std::string_view text) {
  tm utc = {};
  const std::string whole(text);
  const char* rest = ::strptime(whole.c_str(), "%Y-%m-%dT%H:%M:%S", &utc);
  if (rest == nullptr) return std::nullopt;
  const std::string_view tail(rest);  // a fraction of the second, and the zone
  if (!tail.ends_with('Z') || (tail.size() > 1 && tail.front() != '.')) return std::nullopt;
  return ::timegm(&utc);
}

}  // namespace bpfwarden::loader
