#include "policy/text/date.h"

#include <chrono>

namespace bpfwarden::policy {

std::string date_text(int64_t unix_seconds) {
  const std::chrono::sys_seconds moment{std::chrono::seconds(unix_seconds)};
  const std::chrono::year_month_day date(std::chrono::floor<std::chrono::days>(moment));
  const auto two = [](unsigned number) {
    return (number < 10 ? "0" : "") + std::to_string(number);
  };
  return std::to_string(static_cast<int>(date.year())) + "-" +
         two(static_cast<unsigned>(date.month())) + "-" + two(static_cast<unsigned>(date.day()));
}

}  // namespace bpfwarden::policy
