// Events in little room: what each is, who started it, what is missing between them.
#include "loader/report/event_table.h"

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

#include "loader/text/systemd_unit.h"
#include "tests/unit/loader/event_of.h"

namespace bpfwarden::loader {
namespace {

using nlohmann::json;

json event(uint64_t sequence, const char* time = "2026-11-25T12:00:00.000000Z") {
  return {{"sequence", sequence},
          {"time", time},
          {"time_ns", 5},
          {"hook", "bpf_prog_load"},
          {"decision", "allow"},
          {"refused", false},
          {"signature", "prog-only"},
          {"signer", "netops"},
          {"attach", "xdp"},
          {"program", "drop"},
          {"exe", "/usr/bin/agent"},
          {"comm", "agent"},
          {"cgroup", nullptr},
          {"cgroup_id", 77},
          {"tgid", 42},
          {"program_id", 0}};
}

std::string only_text(const EventTable& table, Field field) {
  REQUIRE(table.entries().size() == 1);
  return table.text(table.entries().front(), field);
}

std::string outcome_of(json changed) {
  EventTable table;
  json whole = event(1);
  whole.update(changed);
  REQUIRE(table.add(event_of(whole)));
  return std::string(outcome_name(table.outcome(table.entries().front())));
}

std::vector<TableEntry> numbered(const std::vector<std::pair<uint64_t, Micros>>& events) {
  std::vector<TableEntry> entries;
  for (const auto& [sequence, time] : events)
    entries.push_back({.time = time, .sequence = sequence});
  return entries;
}

}  // namespace

TEST_CASE("what an event is follows from its hook, then from what the caller got") {
  CHECK(outcome_of(json::object()) == "allowed");
  CHECK(outcome_of({{"decision", "deny"}}) == "would_deny");
  CHECK(outcome_of({{"decision", "deny"}, {"refused", true}}) == "refused");
  CHECK(outcome_of({{"hook", "observed"}, {"decision", "deny"}, {"refused", true}}) == "rejected");
  CHECK(outcome_of({{"hook", "staged"}, {"decision", "deny"}}) == "staged");
  CHECK(outcome_of({{"hook", "attach"}, {"decision", "deny"}, {"refused", true}}) == "refused");
}

TEST_CASE("an attachment is told with its way, and under the family of its attach point") {
  EventTable table;
  json attached = event(1);
  attached.update({{"hook", "attach"}, {"attach", "xdp@eth0"}, {"route", "netlink"}});
  REQUIRE(table.add(event_of(attached)));
  CHECK(only_text(table, Field::route) == "netlink");
  CHECK(only_text(table, Field::family) == "xdp");
  CHECK(field_name(Field::route) == "route");
  CHECK(field_name(Field::policy_digest) == "policy_digest");
}

TEST_CASE("who started it is a unit where the cgroup tells, else the executable, else a name") {
  json told = event(1);
  told["cgroup"] = "/system.slice/agent.service/worker";
  EventTable by_unit;
  REQUIRE(by_unit.add(event_of(told)));
  CHECK(only_text(by_unit, Field::unit) == "agent.service");
  CHECK(only_text(by_unit, Field::unit_kind) == "unit");

  EventTable by_exe;
  REQUIRE(by_exe.add(event_of(event(1))));
  CHECK(only_text(by_exe, Field::unit) == "/usr/bin/agent");

  EventTable by_known_cgroup({{77, "/user.slice/user-1000.slice/session-3.scope"}});
  REQUIRE(by_known_cgroup.add(event_of(event(1))));
  CHECK(only_text(by_known_cgroup, Field::unit) == "session-3.scope");

  json bare = event(1);
  bare["exe"] = nullptr;
  EventTable by_name;
  REQUIRE(by_name.add(event_of(bare)));
  CHECK(only_text(by_name, Field::unit) == "agent");
  CHECK(only_text(by_name, Field::unit_kind) == "comm");
}

TEST_CASE("the innermost unit is the one that runs something") {
  CHECK(unit_of_cgroup("/user.slice/user-1000.slice/user@1000.service/app.slice/x.service") ==
        "x.service");
  CHECK(unit_of_cgroup("/system.slice/docker-abc.scope/init") == "docker-abc.scope");
  CHECK(unit_of_cgroup("/machine.slice") == "machine.slice");
  CHECK(unit_of_cgroup("/") == "");
  CHECK(unit_of_cgroup("/.service") == "");
  CHECK(unit_of_cgroup("") == "");
}

TEST_CASE("events with the same facts share a shape") {
  EventTable table;
  REQUIRE(table.add(event_of(event(1))));
  REQUIRE(table.add(event_of(event(2, "2026-11-25T12:00:01.000000Z"))));
  json other = event(3);
  other["program"] = "pass";
  REQUIRE(table.add(event_of(other)));
  CHECK(table.entries().size() == 3);
  CHECK(table.shapes().size() == 2);
}

TEST_CASE("what is no event, or has no time, is not one") {
  EventTable table;
  CHECK_FALSE(table.add(Event()));
  CHECK_FALSE(table.add(event_of({{"hook", "bpf_prog_load"}})));
  CHECK_FALSE(event_from_json({{"hook", "bpf_prog_load"}, {"time", "noon"}}));
  CHECK(table.add(event_of({{"hook", "bpf_prog_load"}, {"wall_time", 1700000000}})));
  for (const json& odd : json::array(
           {{{"program", {{"a", 1}}}}, {{"uid", "x"}}, {{"sequence", -4}}, {{"almost", 7}}})) {
    json whole = event(1);
    whole.update(odd);
    CHECK_FALSE(event_from_json(whole));
  }
  CHECK(table.entries().size() == 1);
}

TEST_CASE("gaps in the numbers are missing events") {
  constexpr Micros second = 1'000'000;
  CHECK(missing_between({}) == 0);
  CHECK(missing_between(numbered({{5, 0}, {6, 1}, {7, 2}})) == 0);
  CHECK(missing_between(numbered({{5, 0}, {9, 1}})) == 3);
  CHECK(missing_between(numbered({{5, 0}, {7, 1}, {6, 2}, {8, 3}})) == 0);
  // After a boot, or after `bpfwarden off`, they begin anew.
  CHECK(missing_between(numbered({{500, 0}, {501, 1}, {1, 9 * second}, {3, 10 * second}})) == 1);
}

}  // namespace bpfwarden::loader
