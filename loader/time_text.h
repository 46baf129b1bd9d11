// Times for people, in the time zone of the machine, and how long ago they were.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace bpfwarden::loader {

// "2026-11-24 12:00:00"; "?" for no time that the C library knows.
[[nodiscard]] std::string local_time(int64_t unix_seconds);

// "40 seconds ago", "5 minutes ago", "3 days ago": whole units, rounded down.
[[nodiscard]] std::string ago_text(int64_t seconds);

// The seconds of RFC 3339 in UTC, as events have it: "2026-11-24T12:00:00.123456Z". Nothing if it
// is none.
[[nodiscard]] std::optional<int64_t> utc_seconds(std::string_view text);

// A time that a user gives: "30m", "2h", "7d" before `now`, "2026-11-25" or "2026-11-25T10:00:00Z".
// Nothing if it is none.
[[nodiscard]] std::optional<int64_t> since_seconds(std::string_view text, int64_t now);

}  // namespace bpfwarden::loader
