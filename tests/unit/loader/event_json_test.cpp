// Events in JSON: what is written comes back, and what no version writes is refused by name.
#include "loader/events/event_json.h"

#include <catch2/catch_test_macros.hpp>
#include <cstring>
#include <nlohmann/json.hpp>

#include "tests/unit/keyring/test_keys.h"
#include "tests/unit/loader/event_of.h"

namespace bpfwarden::loader {
namespace {

using nlohmann::json;

bw_event record_of(int number) {
  bw_event record = {};
  record.abi = BW_EVENT_ABI;
  record.hook = static_cast<uint8_t>(1 + number % BW_HOOK_HARDEN);
  record.route = static_cast<uint8_t>(number % BW_ROUTES);
  record.cause = static_cast<uint8_t>(number % BW_CAUSES);
  record.signature = static_cast<uint8_t>(number % BW_SIGNATURES);
  record.origin = static_cast<uint8_t>(number % BW_ORIGINS);
  record.mode = static_cast<uint8_t>(number % 2);
  record.allow = static_cast<uint8_t>(number / 2 % 2);
  record.refused = static_cast<uint8_t>(number / 4 % 2);
  record.active_allow = static_cast<uint8_t>(number / 8 % 2);
  record.traits = static_cast<uint8_t>(number);
  record.sequence = UINT64_MAX - static_cast<unsigned>(number);
  record.count = static_cast<unsigned>(number);
  record.generation = record.policy_version = record.cgroup_id = record.sequence;
  record.uid = UINT32_MAX;
  record.rule = static_cast<uint16_t>(number % 3 == 0 ? int{BW_NO_RULE} : number);
  record.signer = static_cast<uint16_t>(number % 5);
  record.error = record.key_serial = -number;
  record.wanted_key_length = static_cast<uint32_t>(number);
  record.wall_time = -1;
  if (number % 2 != 0) {
    std::strcpy(record.comm, "agent");
    std::strcpy(record.exe, "/usr/bin/agent");
    std::strcpy(record.program_name, "drop\x1b\"");
    record.digest[3] = record.loader_digest[4] = 1;
  }
  return record;
}

std::string problem_of(const char* member, const json& value) {
  json object = {{"hook", "attach"}};
  object[member] = value;
  const auto event = event_from_json(object);
  return event ? "" : event.error().message;
}

}  // namespace

TEST_CASE("an event that is written and read is written the same again") {
  for (int number = 0; number < 400; number++) {
    const std::string line = event_line(from_record(record_of(number), nullptr));
    const auto read = parse_event(line);
    INFO(line);
    REQUIRE(read);
    CHECK(event_line(*read) == line);
  }
}

TEST_CASE("the words of an event are known again") {
  for (int number = 0; number < 400; number++) {
    const Event told = from_record(record_of(number), nullptr);
    const Event read = event_of(event_to_json(told));
    CHECK(read.hook.known == told.hook.known);
    CHECK(read.cause.known == told.cause.known);
    CHECK(read.signature.known == told.signature.known);
    CHECK(read.origin.known == told.origin.known);
    CHECK(read.mode.known == told.mode.known);
    CHECK(read.decision.known == told.decision.known);
    CHECK(read.active_decision.known == told.active_decision.known);
    CHECK(read.route.text == told.route.text);
    CHECK((told.route == BW_ROUTE_NONE || read.route.known == told.route.known));
  }
}

TEST_CASE("a word of a later version stays as it was written") {
  const Event event = event_of({{"hook", "of a later version"}, {"cause", "moonlight"}});
  CHECK(event.hook.is_unknown());
  CHECK(event.cause.is_unknown());
  CHECK(event_to_json(event)["hook"] == "of a later version");
  CHECK(event_to_json(event)["cause"] == "moonlight");
}

TEST_CASE("what is not told has a meaning of its own, and 0 another") {
  const Event event = event_of({{"hook", "attach"}, {"uid", nullptr}, {"later", "member"}});
  CHECK_FALSE(event.uid);
  CHECK_FALSE(event.wall_time);
  CHECK_FALSE(event.time);
  CHECK_FALSE(event.cause.is_unknown());
  CHECK(event.gpl_compatible);
  CHECK(event.count == 1);
  CHECK(event_of({{"uid", 0}}).uid == 0);
  CHECK(event_of({{"count", 0}}).count == 1);
}

TEST_CASE("a member of another type, or out of range, is named") {
  CHECK(problem_of("program", {{"a", 1}}) == "the event's `program` is not a string");
  CHECK(problem_of("exe", 3) == "the event's `exe` is not a string");
  CHECK(problem_of("hook", true) == "the event's `hook` is not a string");
  CHECK(problem_of("uid", "x") == "the event's `uid` is not a whole number");
  CHECK(problem_of("uid", 1.5) == "the event's `uid` is not a whole number");
  CHECK(problem_of("uid", -1) == "the event's `uid` is out of range: -1");
  CHECK(problem_of("uid", 4294967296) == "the event's `uid` is out of range: 4294967296");
  CHECK(problem_of("sequence", -4) == "the event's `sequence` is out of range: -4");
  CHECK(problem_of("wall_time", UINT64_MAX) ==
        "the event's `wall_time` is out of range: 18446744073709551615");
  CHECK(problem_of("refused", 1) == "the event's `refused` is not true or false");
  CHECK(problem_of("almost", 7) == "the event's `almost` is not an array of strings");
  CHECK(problem_of("almost", {"a", 1}) == "the event's `almost` is not an array of strings");
  CHECK(problem_of("time", "noon") == "the event's `time` is no time: `noon`");
  CHECK_FALSE(event_from_json(json::array()));
  CHECK_FALSE(parse_event("{\"half"));
}

TEST_CASE("a line of a version before is read: digests without a prefix, Unix seconds") {
  const std::string digest(64, 'a');
  const Event before = event_of({{"hook", "bpf_prog"},
                                 {"digest", digest},
                                 {"loader_digest", digest},
                                 {"policy_digest", digest},
                                 {"wall_time", 1'700'000'000}});
  const Event now = event_of({{"hook", "bpf_prog"},
                              {"digest", "sha256:" + digest},
                              {"loader_digest", "sha256:" + digest},
                              {"policy_digest", "sha256:" + digest},
                              {"judged_at", "2023-11-14T22:13:20Z"}});
  CHECK(before.digest == digest);
  CHECK(before.wall_time == 1'700'000'000);
  CHECK(event_line(before) == event_line(now));
  CHECK(event_to_json(before)["digest"] == "sha256:" + digest);
  CHECK(event_to_json(before)["judged_at"] == "2023-11-14T22:13:20Z");
  CHECK(problem_of("judged_at", 7) == "the event's `judged_at` is not a string");
}

TEST_CASE("a file with one event is read, one with more is not") {
  const test::TempDir folder;
  const std::string line = event_line(from_record(record_of(1), nullptr)) + "\n";
  const auto one = read_event(folder.write("one", line));
  REQUIRE(one);
  CHECK(event_line(*one) + "\n" == line);
  const auto two = read_event(folder.write("two", line + line));
  REQUIRE_FALSE(two);
  CHECK(two.error().message.contains("more than one event"));
  CHECK(read_event(folder.write("none", "nothing\n")).error().message.contains("no event"));
  CHECK(read_event(folder.path() / "missing").error().message.contains("missing"));
}

}  // namespace bpfwarden::loader
