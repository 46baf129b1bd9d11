#include "policy/text/date.h"

#include <chrono>

namespace bpfwarden::policy {
namespace {

std::string two_digits(unsigned number) {
  return (number < 10 ? "0" : "") + std::to_string(number);
}

}  // namespace

std::string date_text(int64_t unix_seconds) {
  const std::chrono::sys_seconds moment{std::chrono::seconds(unix_seconds)};
  const std::chrono::year_month_day date(std::chrono::floor<std::chrono::days>(moment));
  return std::to_string(static_cast<int>(date.year())) + "-" +
         two_digits(static_cast<unsigned>(date.month())) + "-" +
         two_digits(static_cast<unsigned>(date.day()));
}

std::string moment_text(int64_t unix_seconds) {
  constexpr int64_t day = 86'400;
  const auto second = static_cast<unsigned>(((unix_seconds % day) + day) % day);
  if (second == 0) return date_text(unix_seconds);
  return date_text(unix_seconds) + "T" + two_digits(second / 3600) + ":" +
         two_digits(second / 60 % 60) + ":" + two_digits(second % 60) + "Z";
}

}  // namespace bpfwarden::policy
