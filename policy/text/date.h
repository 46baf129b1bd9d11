// Dates for people.
#pragma once

#include <cstdint>
#include <string>

namespace bpfwarden::policy {

// YYYY-MM-DD in UTC, by the civil calendar. Fails for no number of seconds.
[[nodiscard]] std::string date_text(int64_t unix_seconds);

}  // namespace bpfwarden::policy
