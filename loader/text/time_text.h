// Times for people, in the time zone of the machine, and how long ago they were.
#pragma once

#include <cstdint>
#include <string>

namespace bpfwarden::loader {

// "2026-11-24 12:00:00 CET"; "?" for no time that the C library knows.
[[nodiscard]] std::string local_time(int64_t unix_seconds);

// "40 seconds ago", "5 minutes ago", "3 days ago": whole units, rounded down.
[[nodiscard]] std::string ago_text(int64_t seconds);

}  // namespace bpfwarden::loader
