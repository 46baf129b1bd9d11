// The largest policy, and what is no policy but as long as one may be. What they cost is held in
// instructions, by tests/bench.
#include <catch2/catch_test_macros.hpp>
#include <random>

#include "fake_reader.h"
#include "policy/image/compile.h"

using namespace bpfwarden::policy;
using namespace bpfwarden::policy::test;

namespace {

// 1,024 rules with four names each.
std::string largest_policy() {
  std::string text;
  for (int i = 0; i < BW_MAX_RULES; i++) {
    text += "[[rules]]\nname=\"r" + std::to_string(i) + "\"\nallow=[";
    for (int n = 0; n < 4; n++)
      text += "\"fentry/function_number_" + std::to_string(4 * i + n) + "\", ";
    text += "]\nsigned-by=[\"netops\"]\n";
  }
  return with_header(text);
}

std::string repeated(std::string_view part, size_t size) {
  std::string text;
  while (text.size() < size) text += part;
  text.resize(size);
  return text;
}

}  // namespace

TEST_CASE("1,024 rules with 4,096 names become an image") {
  const ParseResult parsed = parse_text(largest_policy());
  REQUIRE(parsed.policy.has_value());
  CHECK(compile(*parsed.policy, std::array<uint8_t, 32>{}).has_value());
}

TEST_CASE("10 MiB of garbage is refused") {
  std::mt19937_64 dice(1);
  std::string noise(kMaxPolicyBytes, 0);
  for (char& c : noise) c = static_cast<char>(dice());
  const std::string header = with_header("");
  for (const std::string& text :
       {noise, repeated("a", kMaxPolicyBytes), repeated("\"", kMaxPolicyBytes),
        repeated("[", kMaxPolicyBytes), repeated("[[rules]]\n", kMaxPolicyBytes),
        repeated("[[rules]]\nallow=1\nfoo=2\n", kMaxPolicyBytes), repeated("\n", kMaxPolicyBytes),
        header + "x = [" + repeated("1,", kMaxPolicyBytes - 1000),
        header + "[[rules]]\nallow = [" + repeated("\"xpd\",", kMaxPolicyBytes - 1000)}) {
    INFO(text.substr(0, 30));
    CHECK_FALSE(parse_text(text).policy.has_value());
  }
}
