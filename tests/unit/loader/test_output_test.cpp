// The outputs of `test`, and events read back for `explain --event`.
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include <catch2/catch_test_macros.hpp>

#include "loader/events/event_json.h"
#include "loader/events/recorded_event.h"
#include "loader/policies/test_output.h"
#include "policy/answers/explain.h"
#include "policy/image/compile.h"
#include "policy/language/parse.h"

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

Result<policy::Situation> situation_of_event(const nlohmann::json& object,
                                             const policy::Policy& policy, const bw_image& image,
                                             int64_t now) {
  const auto event = event_from_json(object);
  if (!event) return std::unexpected(event.error());
  return situation_of_event(*event, policy, image, now);
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
  const nlohmann::json whole = test_json(results(), false);
  CHECK(whole.at("ok") == false);
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
  const auto situation = situation_of_event(event, policy, *image, 5);
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
  CHECK(situation_of_event({{"attach", "xdp"}}, policy, *image, 5)->time == 5);
}

TEST_CASE("an event that cannot be what was recorded is refused, not guessed at") {
  const policy::Policy policy = two_rules();
  const auto image = policy::compile(policy, std::array<uint8_t, 32>{}).value();
  const auto is_read = [&](nlohmann::json event) {
    return situation_of_event(event, policy, *image, 0).has_value();
  };
  CHECK(is_read({{"attach", "kprobe/…"}}));
  CHECK_FALSE(is_read({{"attach", nullptr}}));
  CHECK_FALSE(is_read({{"attach", 7}}));
  CHECK_FALSE(is_read({{"attach", "xdp"}, {"uid", "x"}}));
  CHECK_FALSE(is_read({{"attach", "xdp"}, {"uid", -1}}));
  CHECK_FALSE(is_read({{"attach", "xdp"}, {"signer", "nobody"}}));
  CHECK_FALSE(is_read({{"attach", "xdp"}, {"signature", "signed"}}));
  CHECK_FALSE(is_read({{"attach", "xdp"}, {"origin", "elsewhere"}}));
  CHECK_FALSE(is_read({{"attach", "xdp"}, {"digest", "12"}}));
  CHECK_FALSE(is_read({{"attach", "xdp"}, {"cause", "magic"}}));
  CHECK(is_read({{"attach", "xdp"}, {"cause", "default"}}));
}

TEST_CASE("an event tells of a load: of an attachment nothing is made up") {
  const std::string text =
      "schema=1\nname=\"edge\"\nversion=1\nmode=\"enforce\"\ndefault=\"deny\"\n"
      "[keys.distro]\nkeyring=\"builtin\"\n"
      "[[rules]]\nname=\"ours\"\nallow=[\"kprobe/tcp_*\", \"xdp@eth*\"]\nsigned-by=[\"distro\"]\n";
  const auto policy = policy::parse({{"edge.toml", text}}, {}, 0).policy.value();
  const auto image = policy::compile(policy, std::array<uint8_t, 32>{}).value();
  for (const char* attach : {"kprobe/…", "xdp"}) {
    const auto recorded = situation_of_event(
        {{"attach", attach}, {"signature", "prog-only"}, {"signer", "distro"}}, policy, *image, 0);
    REQUIRE(recorded.has_value());
    const auto explanation = policy::explain(*image, *recorded);
    CHECK(explanation.decision().allow == 1);
    CHECK(explanation.stages.size() == 1);
    CHECK(explanation.lacks_attach);
    CHECK(policy::to_text(explanation, policy).find("about the load alone") != std::string::npos);
  }
}

TEST_CASE("an event of an attachment is judged at load and at attach") {
  const std::string text =
      "schema=1\nname=\"edge\"\nversion=1\nmode=\"enforce\"\ndefault=\"deny\"\n"
      "[[rules]]\nname=\"no\"\ndeny=[\"kprobe/udp_*\"]\n"
      "[[rules]]\nname=\"ours\"\nallow=[\"kprobe/*\", \"xdp@eth0\"]\nsignature=\"unsigned\"\n";
  const auto policy = policy::parse({{"edge.toml", text}}, {}, 0).policy.value();
  const auto image = policy::compile(policy, std::array<uint8_t, 32>{}).value();
  const auto explained = [&](const char* attach, const char* cause = "default") {
    const nlohmann::json event = {{"hook", "attach"}, {"attach", attach}, {"cause", cause}};
    return policy::explain(*image, situation_of_event(event, policy, *image, 0).value());
  };
  REQUIRE(explained("xdp@eth0").stages.size() == 2);
  CHECK(explained("xdp@eth0").decision().allow == 1);
  CHECK(explained("xdp@eth1").stages[0].decision.allow == 1);
  CHECK(explained("xdp@eth1").decision().allow == 0);
  CHECK(explained("kprobe/tcp_connect").decision().rule == 1);
  CHECK(explained("kprobe/udp_recvmsg").decision().rule == 0);
  // A target that could not be found out meets the conditions of deny rules.
  CHECK(explained("kprobe/…").decision().rule == 0);
  const auto shared = explained("xdp@eth0", "shared-files");
  CHECK(shared.stages[0].decision.allow == 1);
  CHECK(shared.decision().cause == BW_CAUSE_SHARED_FILES);
}

TEST_CASE("what the kernel part refused before any rule stays refused, and says why") {
  const policy::Policy policy = two_rules();
  const auto image = policy::compile(policy, std::array<uint8_t, 32>{}).value();
  nlohmann::json event = {{"attach", "xdp"}, {"signature", "prog-only"}, {"signer", "distro"}};
  const auto decided = [&] {
    return policy::explain(*image, situation_of_event(event, policy, *image, 0).value());
  };
  CHECK(decided().decision().allow == 1);
  event["cause"] = "unsigned-parts";
  CHECK(decided().decision().allow == 0);
  CHECK(decided().decision().cause == BW_CAUSE_UNSIGNED_PARTS);
  CHECK(policy::to_text(decided(), policy).find("light skeleton") != std::string::npos);
}

TEST_CASE("an event's origin is kept, also one that no rule can ask for") {
  const policy::Policy policy =
      policy::parse({{"edge.toml",
                      "schema=1\nname=\"edge\"\nversion=1\nmode=\"enforce\"\ndefault=\"deny\"\n"
                      "[[rules]]\nname=\"one\"\nallow=[\"xdp\"]\nsignature=\"unsigned\"\n"
                      "origin=\"user\"\n"
                      "[[rules]]\nname=\"two\"\nallow=[\"xdp\"]\nsignature=\"unsigned\"\n"
                      "origin=\"loader\"\n"}},
                    {}, 0)
          .policy.value();
  const auto image = policy::compile(policy, std::array<uint8_t, 32>{}).value();
  const auto explained = [&](const char* origin) {
    const auto situation =
        situation_of_event({{"attach", "xdp"}, {"origin", origin}}, policy, *image, 0);
    return policy::explain(*image, situation.value());
  };
  CHECK(explained("user").decision().rule == 0);
  CHECK(explained("loader").decision().rule == 1);
  const auto kernel = explained("kernel");
  REQUIRE(kernel.stages[0].passed.size() == 2);
  CHECK(kernel.stages[0].passed[0].reasons == std::vector<std::string>{"origin user"});
  CHECK(kernel.stages[0].passed[1].reasons == std::vector<std::string>{"origin loader"});
  CHECK(explained("resident").decision().allow == 0);
}

TEST_CASE("an event file holds one event") {
  const auto path = std::filesystem::temp_directory_path() / "bpfwarden-event-test.json";
  const auto message = [&](std::string_view text) {
    std::ofstream(path, std::ios::binary) << text;
    const auto event = read_event(path);
    std::filesystem::remove(path);
    return event ? "" : event.error().message;
  };
  CHECK(message("{\n\"attach\": \"xdp\"}\n") == "");
  CHECK(message("{}\n{}\n").find("more than one event") != std::string::npos);
  CHECK(message("[]").find("holds no event") != std::string::npos);
  CHECK(message("").find("holds no event") != std::string::npos);
  CHECK(read_event("/nonexistent").error().message.find("No such file") != std::string::npos);
}

TEST_CASE("coverage is that of the policy, over all files that test it") {
  auto files = results();
  files.push_back(files.front());
  files[1].report.decided = {false, true};
  files.push_back(files.front());
  files[2].policy.files = {"other.toml"};
  share_coverage(files);
  CHECK(files[0].report.coverage() == 100);
  CHECK(files[1].report.coverage() == 100);
  CHECK(files[2].report.coverage() == 50);
}
