#include "loader/text/moment.h"

#include <charconv>
#include <chrono>
#include <cstdio>

#include "policy/text/date.h"

namespace bpfwarden::loader {
namespace {

constexpr Micros kSecond = kMicrosPerSecond;

// Takes text from its front; once something did not fit, nothing more does.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}

  // Exactly `digits` of them, no more than `limit`.
  int64_t number(size_t digits, int64_t limit) {
    int64_t value = 0;
    if (rest_.size() < digits) fits_ = false;
    for (size_t i = 0; fits_ && i < digits; i++) {
      if (rest_[i] < '0' || rest_[i] > '9') fits_ = false;
      value = value * 10 + (rest_[i] - '0');
    }
    if (value > limit) fits_ = false;
    if (fits_) rest_.remove_prefix(digits);
    return value;
  }
  void one_of(std::string_view characters) { fits_ = skip(characters) && fits_; }
  bool skip(std::string_view characters) {
    if (rest_.empty() || !characters.contains(rest_.front())) return false;
    rest_.remove_prefix(1);
    return true;
  }
  // The digits after a decimal point, of which microseconds are kept.
  int64_t fraction() {
    int64_t micros = 0, unit = kSecond / 10;
    while (!rest_.empty() && rest_.front() >= '0' && rest_.front() <= '9') {
      micros += (rest_.front() - '0') * unit;
      unit /= 10;
      rest_.remove_prefix(1);
    }
    return micros;
  }
  [[nodiscard]] bool is_done() const { return fits_ && rest_.empty(); }

 private:
  std::string_view rest_;
  bool fits_ = true;
};

int64_t read_time_of_day(Scanner& scan) {
  int64_t seconds = scan.number(2, 23) * 3600;
  scan.one_of(":");
  seconds += scan.number(2, 59) * 60;
  if (!scan.skip(":")) return seconds * kSecond;
  seconds += scan.number(2, 60);
  return seconds * kSecond + (scan.skip(".") ? scan.fraction() : 0);
}

}  // namespace

std::optional<Micros> parse_utc(std::string_view text) {
  Scanner scan(text);
  const int64_t year = scan.number(4, 9999);
  scan.one_of("-");
  const int64_t month = scan.number(2, 12);
  scan.one_of("-");
  const int64_t day = scan.number(2, 31);
  const int64_t of_day = scan.skip("T ") ? read_time_of_day(scan) : 0;
  (void)scan.skip("Z");
  const std::chrono::year_month_day date{std::chrono::year(static_cast<int>(year)),
                                         std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (!scan.is_done() || !date.ok()) return std::nullopt;
  return std::chrono::sys_days(date).time_since_epoch().count() * 86'400 * kSecond + of_day;
}

std::optional<Micros> parse_moment(std::string_view text, Micros now) {
  int64_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  constexpr int64_t most = 1'000'000'000;
  if (error == std::errc() && end + 1 == text.data() + text.size() && count >= 0 && count <= most) {
    switch (*end) {
      case 's':
        return now - count * kSecond;
      case 'm':
        return now - count * 60 * kSecond;
      case 'h':
        return now - count * 3600 * kSecond;
      case 'd':
        return now - count * 86'400 * kSecond;
      default:
        return std::nullopt;
    }
  }
  return parse_utc(text);
}

std::string utc_text(Micros moment) {
  constexpr Micros day = 86'400 * kSecond;
  const Micros of_day = ((moment % day) + day) % day;
  char text[sizeof("T00:00:00.000000Z") + 32] = {};
  const Micros seconds = of_day / kSecond;
  (void)std::snprintf(text, sizeof(text), "T%02d:%02d:%02d.%06dZ", static_cast<int>(seconds / 3600),
                      static_cast<int>(seconds / 60 % 60), static_cast<int>(seconds % 60),
                      static_cast<int>(of_day % kSecond));
  return policy::date_text((moment - of_day) / kSecond) + text;
}

std::string utc_second_text(int64_t unix_seconds) {
  std::string text = utc_text(unix_seconds * kMicrosPerSecond);
  text.erase(text.find('.'), sizeof(".000000") - 1);
  return text;
}

}  // namespace bpfwarden::loader
