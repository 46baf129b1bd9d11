// Moments as people and events write them.
#include "loader/text/moment.h"

#include <catch2/catch_test_macros.hpp>

namespace bpfwarden::loader {
namespace {

constexpr Micros kSecond = 1'000'000;
constexpr Micros kNoon = 1'795'608'000 * kSecond;  // date -u -d '2026-11-25 12:00' +%s

}  // namespace

TEST_CASE("a moment is a date, a time in UTC, or how long ago") {
  CHECK(parse_utc("2026-11-25T12:00:00Z") == kNoon);
  CHECK(parse_utc("2026-11-25 12:00") == kNoon);
  CHECK(parse_utc("2026-11-25T12:00:00.25Z") == kNoon + kSecond / 4);
  CHECK(parse_utc("2026-11-25") == kNoon - 12 * 3600 * kSecond);
  CHECK(parse_moment("90s", kNoon) == kNoon - 90 * kSecond);
  CHECK(parse_moment("2h", kNoon) == kNoon - 7200 * kSecond);
  CHECK(parse_moment("7d", kNoon) == kNoon - 7 * 86'400 * kSecond);
  CHECK(parse_moment("2026-11-25", 0) == kNoon - 12 * 3600 * kSecond);
}

TEST_CASE("what is no moment is not guessed at") {
  for (const char* text : {"", "soon", "2026", "2026-13-01", "2026-02-30", "2026-11-25T25:00",
                           "2026-11-25T12:00+01:00", "2026-11-25T12", "-5h", "5", "5w", "h",
                           "99999999999999999999d", "2026-11-25Tx", "2026-11-2"}) {
    INFO(text);
    CHECK_FALSE(parse_moment(text, kNoon));
  }
}

TEST_CASE("a moment is written as events write theirs") {
  CHECK(utc_text(kNoon + 7) == "2026-11-25T12:00:00.000007Z");
  CHECK(utc_text(-1) == "1969-12-31T23:59:59.999999Z");
  CHECK(parse_utc(utc_text(kNoon + 123)) == kNoon + 123);
}

}  // namespace bpfwarden::loader
