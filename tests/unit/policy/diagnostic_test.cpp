#include "policy/text/diagnostic.h"

#include <catch2/catch_test_macros.hpp>

#include "policy/text/nearest.h"

using namespace bpfwarden::policy;

namespace {

Diagnostic at(uint32_t line, uint32_t column, uint32_t width) {
  return {Severity::error, "p.toml", line, column, width, "wrong", "", kInvalid};
}

}  // namespace

TEST_CASE("a diagnostic shows place, line, caret and hint") {
  Diagnostic diagnostic = at(2, 9, 7);
  diagnostic.hint = "did you mean `enforce`?";
  CHECK(render(diagnostic, "a = 1\nmode = \"enforc\" # x\nb = 2\n") ==
        "p.toml:2:9: error: wrong\n"
        "  mode = \"enforc\" # x\n"
        "          ^~~~~~~\n"
        "  hint: did you mean `enforce`?\n");
}

TEST_CASE("tabs stay tabs, and a code point is one column") {
  CHECK(render(at(1, 2, 1), "\tx = 1") == "p.toml:1:2: error: wrong\n  \tx = 1\n  \t^\n");
  CHECK(render(at(1, 3, 2), "éèxy") == "p.toml:1:3: error: wrong\n  éèxy\n    ^~\n");
}

TEST_CASE("a caret beyond the line, an empty line, a line that is not there") {
  CHECK(render(at(1, 40, 9), "abc") == "p.toml:1:40: error: wrong\n  abc\n     ^\n");
  CHECK(render(at(1, 2, 99), "abc") == "p.toml:1:2: error: wrong\n  abc\n   ^~\n");
  CHECK(render(at(1, 1, 1), "") == "p.toml:1:1: error: wrong\n");
  CHECK(render(at(9, 1, 1), "abc\n") == "p.toml:9:1: error: wrong\n");
  CHECK(render(at(0, 0, 0), "abc\r\n") == "p.toml:0:0: error: wrong\n  abc\n  ^\n");
}

TEST_CASE("nothing that a terminal obeys gets through") {
  Diagnostic diagnostic = at(1, 1, 1);
  diagnostic.message = "a\033[31mb\nc";
  diagnostic.hint =
      "\xc2\x9b"
      "31m";
  const std::string text = render(diagnostic, "x\033[0m\xff\xc2");
  CHECK(text.find('\033') == std::string::npos);
  CHECK(text.find('\xff') == std::string::npos);
  CHECK(text.find("\xc2\x9b") == std::string::npos);
  CHECK(text.find("b\nc") == std::string::npos);
}

TEST_CASE("a long line is shown around the column") {
  const std::string source = std::string(5000, 'a') + "X" + std::string(5000, 'b');
  const std::string text = render(at(1, 5001, 1), source);
  CHECK(text.size() < 600);
  CHECK(text.find("aX") != std::string::npos);
  const size_t x = text.find('X') - text.find("…") - 3;
  CHECK(text.substr(text.find('^') - x - 1, x + 1) == std::string(x + 1, ' '));
}

TEST_CASE("colour only when asked for") {
  CHECK(render(at(1, 1, 1), "x", true).find("\033[1;31merror:") != std::string::npos);
  CHECK(render(at(1, 1, 1), "x").find('\033') == std::string::npos);
}

TEST_CASE("a list is sorted by position, knows its errors, and is bounded") {
  DiagnosticList list({"f", "g"});
  list.error({1, 1, 1, 1}, "d");
  CHECK(list.has_errors());
  CHECK(list.take().at(0).file == "g");
  list.error({1, 1, 1, 1}, "d");
  (void)list.take();
  list.warning("code", {3, 1, 1}, "c");
  CHECK_FALSE(list.has_errors());
  list.error({1, 5, 1}, "b");
  list.error({1, 2, 1}, "a");
  CHECK(list.has_errors());
  const auto sorted = list.take();
  REQUIRE(sorted.size() == 3);
  CHECK(sorted[0].message == "a");
  CHECK(sorted[2].severity == Severity::warning);
  CHECK(sorted[2].code == "code");
  CHECK(render(sorted[2], "").find("warning: c [code]") != std::string::npos);
  for (int i = 0; i < 100'000; i++) list.error({}, "again");
  CHECK(list.take().size() == 1001);
}

TEST_CASE("nearest") {
  constexpr std::string_view words[] = {"allow", "deny", "signed-by", "signature"};
  CHECK(nearest("alow", words) == "allow");
  CHECK(nearest("DENY", words) == "deny");
  CHECK(nearest("dney", words) == "deny");
  CHECK(nearest("signed_by", words) == "signed-by");
  CHECK_FALSE(nearest("colour", words).has_value());
  CHECK_FALSE(nearest("", words).has_value());
  CHECK_FALSE(nearest(std::string(100'000, 'a'), words).has_value());
}
