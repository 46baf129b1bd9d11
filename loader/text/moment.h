// Moments as people and events write them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace bpfwarden::loader {

// Microseconds since 1970 (UTC).
using Micros = int64_t;
inline constexpr Micros kMicrosPerSecond = 1'000'000;
inline constexpr uint64_t kNanosPerSecond = 1'000'000'000;

// "2026-11-25", "2026-11-25T12:00", "2026-11-25 12:00:00.123456Z": always UTC.
[[nodiscard]] std::optional<Micros> parse_utc(std::string_view text);

// Likewise, or how long before `now`: "90s", "30m", "2h", "7d".
[[nodiscard]] std::optional<Micros> parse_moment(std::string_view text, Micros now);

// "2026-11-25T12:00:00.123456Z"
[[nodiscard]] std::string utc_text(Micros moment);

// "2026-11-25T12:00:00Z"
[[nodiscard]] std::string utc_second_text(int64_t unix_seconds);

}  // namespace bpfwarden::loader
