// The outputs of `test`, and events read back for `explain --event`.
#include <nlohmann/json.hpp>

#include <catch2/catch_test_macros.hpp>

#include "loader/recorded_event.h"
#include "loader/test_output.h"
#include "policy/compile.h"
#include "policy/parse.h"

using namespace bpfwarden;
using namespace bpfwarden::loader;

namespace {

policy::Policy two_rules() {
  const std::string text =
      "schema=1\nname=\"edge\"\nversion=1\nmode=\"enforce\"\ndefault=\"deny\"\n"
      "[keys.distro]\nkeyring=\"builtin\"\n"
      "[[rules]]\nname=\"one\"\nallow=[\"xdp\"]\nsigned-by=[\"distro\"]\n"
      "[[rules]]\nname=\"two\"\ndeny=[\"tc\", \"tcx/*\", \"netkit/*\"]\n";
  return policy::parse({{"edge.toml", text}}, {}, 0).policy.value();
}

std::vector<TestedFile> results() {
  TestedFile file = {"a.test.toml", two_rules(), {}};
  file.report.outcomes = {{"good", {3, 1, 1}, true, ""},
                          {"bad <&\"> #1", {9, 1, 1}, false, "expected allow\ngot deny\n"}};
  file.report.decided = {true, false};
  return {file};
}

}  // namespace

TEST_CASE("text has a line for each test, the reason, and the coverage") {
  const std::string text = test_output(results(), TestFormat::text);
  CHECK(text.find("ok      good (a.test.toml:3)\n") != std::string::npos);
  CHECK(text.find("FAILED  bad <&\"> #1 (a.test.toml:9)\n        expected allow\n") !=
        std::string::npos);
  CHECK(text.find("1 passed, 1 failed; coverage: 1 of 2 rules (50 %); never decided: `two` "
                  "(edge.toml:12)") != std::string::npos);
}

TEST_CASE("TAP has a plan, escapes directives, and puts reasons into comments") {
  const std::string text = test_output(results(), TestFormat::tap);
  CHECK(
      text.starts_with("TAP version 14\n1..2\nok 1 - good\nnot ok 2 - bad <&\"> \\#1\n"
                       "# expected allow\n# got deny\n"));
}

TEST_CASE("JUnit is escaped") {
  const std::string text = test_output(results(), TestFormat::junit);
  CHECK(text.find("name=\"bad &lt;&amp;&quot;&gt; #1\"") != std::string::npos);
  CHECK(text.find("failures=\"1\"") != std::string::npos);
  CHECK(text.find("message=\"expected allow&#10;got deny&#10;\"") != std::string::npos);
}

TEST_CASE("JSON has tests and coverage") {
  const auto whole = nlohmann::json::parse(test_output(results(), TestFormat::json));
  const auto& file = whole.at("files").at(0);
  CHECK(file.at("failed") == 1);
  CHECK(file.at("coverage") == 50);
  CHECK(file.at("never_decided").at(0) == "two");
  CHECK(file.at("tests").at(1).at("reason") == "expected allow\ngot deny\n");
  CHECK_FALSE(test_format("xml").has_value());
}

TEST_CASE("a recorded event is the situation that it was recorded in") {
  const policy::Policy policy = two_rules();
  const auto image = policy::compile(policy, std::array<uint8_t, 32>{}).value();
  const nlohmann::json event = {{"attach", "xdp"},
                                {"signature", "prog-only"},
                                {"signer", "distro"},
                                {"origin", "loader"},
                                {"uid", 7},
                                {"exe", "/usr/bin/x"},
                                {"cgroup", nullptr},
                                {"digest", std::string(64, '1')},
                                {"gpl_compatible", false},
                                {"wall_time", 99}};
  const auto situation = situation_of_event(event, policy, *image);
  REQUIRE(situation.has_value());
  CHECK(situation->signer == BW_SIGNER_BUILTIN);
  CHECK(situation->signature == policy::Signature::prog_only);
  CHECK(situation->origin == policy::Origin::loader);
  CHECK(situation->uid == 7);
  CHECK_FALSE(situation->cgroup.has_value());
  CHECK(situation->digest->front() == 0x11);
  CHECK(situation->license == policy::License::proprietary);
  CHECK(situation->time == 99);
  CHECK(policy::decide_on(*image, *situation).last().allow == 1);

  CHECK(situation_of_event({{"attach", "kprobe/…"}}, policy, *image).has_value());
  CHECK_FALSE(situation_of_event({{"attach", nullptr}}, policy, *image).has_value());
  CHECK_FALSE(situation_of_event({{"attach", 7}}, policy, *image).has_value());
  CHECK_FALSE(situation_of_event({{"attach", "xdp"}, {"uid", "x"}}, policy, *image).has_value());
  CHECK_FALSE(
      situation_of_event({{"attach", "xdp"}, {"signer", "nobody"}}, policy, *image).has_value());
}
