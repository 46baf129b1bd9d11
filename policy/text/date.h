// Dates for people.
#pragma once

#include <cstdint>
#include <string>

namespace bpfwarden::policy {

// YYYY-MM-DD in UTC, by the civil calendar. Fails for no number of seconds.
[[nodiscard]] std::string date_text(int64_t unix_seconds);

// Likewise, with the time of the day unless that is midnight: `2027-06-30T12:00:00Z`.
[[nodiscard]] std::string moment_text(int64_t unix_seconds);

}  // namespace bpfwarden::policy
