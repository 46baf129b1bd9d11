// What a report counts.
#include "loader/report/report_data.h"

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

#include "loader/report/report_inventory.h"
#include "loader/report/report_sources.h"
#include "tests/unit/loader/event_of.h"

namespace bpfwarden::loader {
namespace {

using nlohmann::json;

// What each event has in common; the rest is given.
json event(uint64_t sequence, json facts) {
  json whole = {{"sequence", sequence},
                {"time", "2026-11-25T12:00:0" + std::to_string(sequence % 10) + ".000000Z"},
                {"hook", "bpf_prog_load"},
                {"decision", "allow"},
                {"refused", false},
                {"signature", "unsigned"},
                {"signer", nullptr},
                {"attach", "kprobe/…"},
                {"program", "trace"},
                {"digest", "aa"},
                {"exe", "/usr/bin/tracer"},
                {"cause", "default"},
                {"policy_version", 1},
                {"policy_digest", "d1"}};
  whole.update(facts);
  return whole;
}

RecordedEvents recorded(const std::vector<json>& all) {
  RecordedEvents events{EventTable(), {}, {}};
  for (const json& one : all) REQUIRE(events.table.add(event_of(one)));
  events.table.sort();
  return events;
}

const json kDenied = {{"decision", "deny"}};
const json kRefused = {{"decision", "deny"}, {"refused", true}, {"exe", "/tmp/x"}};

uint64_t count_of(const ReportNumbers& numbers, EventOutcome outcome) {
  return numbers.counts[static_cast<size_t>(outcome)];
}

}  // namespace

TEST_CASE("denials are counted by program and by who started it") {
  const auto events =
      recorded({event(1, kDenied), event(2, kDenied), event(3, kRefused), event(4, json::object()),
                event(5, {{"decision", "deny"}, {"program", "other"}})});
  const ReportNumbers numbers = count_events(events.table, events.recording);
  CHECK(count_of(numbers, EventOutcome::allowed) == 1);
  CHECK(count_of(numbers, EventOutcome::would_deny) == 3);
  CHECK(count_of(numbers, EventOutcome::refused) == 1);
  REQUIRE(numbers.denied_programs.size() == 2);
  const DeniedProgram& most = numbers.denied_programs.front();
  CHECK(most.program == "trace");
  CHECK(most.would_deny == 2);
  CHECK(most.refused == 1);
  CHECK(most.units == 2);
  CHECK(utc_text(most.first) == "2026-11-25T12:00:01.000000Z");
  CHECK(utc_text(most.last) == "2026-11-25T12:00:03.000000Z");
  REQUIRE(numbers.denied_units.size() == 2);
  CHECK(numbers.denied_units.front().unit == "/usr/bin/tracer");
  CHECK(numbers.denied_units.front().programs == 2);
}

TEST_CASE("a staged policy's differences and the kernel's rejections are no denials") {
  const auto events = recorded(
      {event(1, {{"hook", "staged"}, {"decision", "deny"}, {"policy_digest", "d2"}}),
       event(
           2,
           {{"hook", "observed"}, {"decision", "deny"}, {"refused", true}, {"attach", nullptr}})});
  const ReportNumbers numbers = count_events(events.table, events.recording);
  CHECK(count_of(numbers, EventOutcome::staged) == 1);
  CHECK(count_of(numbers, EventOutcome::rejected) == 1);
  CHECK(numbers.denied_programs.empty());
  CHECK(numbers.matrix.empty());
  REQUIRE(numbers.policies.size() == 1);
  CHECK(numbers.policies.front().digest == "sha256:d1");
  CHECK(numbers.policies.front().counts[static_cast<size_t>(EventOutcome::rejected)] == 1);
}

TEST_CASE("the matrix counts loads by who vouches and where they would go") {
  const auto events = recorded(
      {event(1, json::object()), event(2, kDenied),
       event(3, {{"attach", "tcx/ingress"}, {"signature", "prog-only"}, {"signer", "netops"}}),
       event(4, {{"attach", "xdp"}, {"signature", "prog-only"}}),
       event(5, {{"hook", "key_permission"}, {"attach", nullptr}, {"decision", "deny"}})});
  const ReportNumbers numbers = count_events(events.table, events.recording);
  REQUIRE(numbers.matrix.size() == 3);
  const OutcomeCounts& traced = numbers.matrix.at({"unsigned", "kprobe"});
  CHECK(traced[static_cast<size_t>(EventOutcome::allowed)] == 1);
  CHECK(traced[static_cast<size_t>(EventOutcome::would_deny)] == 1);
  CHECK(numbers.matrix.contains({"key:netops", "tcx"}));
  CHECK(numbers.matrix.contains({"unknown-key", "xdp"}));
}

TEST_CASE("long lists end with a sum") {
  std::vector<json> all;
  for (uint64_t i = 1; i <= 5; i++)
    all.push_back(event(i, {{"decision", "deny"}, {"program", "p" + std::to_string(i)}}));
  const auto events = recorded(all);
  const json list = to_json(count_events(events.table, events.recording), 2)["denied_programs"];
  CHECK(list["total"] == 5);
  CHECK(list["rows"].size() == 2);
  CHECK(list["others"]["would_deny"] == 3);
}

TEST_CASE("bins are such that people count in them, and no more than fit") {
  constexpr Micros second = 1'000'000, hour = 3600 * second;
  CHECK(timeline_step(0, 0) == second);
  CHECK(timeline_step(0, 119 * second) == second);
  CHECK(timeline_step(0, 120 * second) == 5 * second);
  CHECK(timeline_step(0, 30 * hour - 1) == 900 * second);
  for (Micros span = 1; span < int64_t{200} * 365 * 24 * hour; span *= 3) {
    const Micros step = timeline_step(-span / 2, span / 2);
    CHECK(span / step <= static_cast<Micros>(kMaxBins));
  }
}

TEST_CASE("no event is lost between the bins") {
  const auto events = recorded({event(1, json::object()), event(2, kDenied), event(2, kDenied),
                                event(9, {{"time", "2026-11-27T12:00:00.000000Z"}})});
  const Timeline timeline = make_timeline(events.table);
  uint64_t sum = 0;
  for (const TimelineBin& bin : timeline.bins)
    for (const uint64_t count : bin.counts) sum += count;
  CHECK(sum == 4);
  CHECK(timeline.start % timeline.step == 0);
  CHECK(timeline.bins.size() <= kMaxBins);
  CHECK(make_timeline(EventTable()).bins.empty());
}

TEST_CASE("a report of nothing has its members all the same") {
  const auto report = make_report(recorded({}), nullptr, nullptr, 10);
  REQUIRE(report);
  CHECK((*report)["recording"]["received"] == 0);
  CHECK((*report)["recording"]["first"].is_null());
  CHECK((*report)["programs"].is_null());
  CHECK((*report)["timeline"]["lanes"]["allowed"].empty());
}

TEST_CASE("programs that need a look come first, with how many events are about them") {
  const json inventory = {
      {{"id", 1}, {"name", "own"}, {"standing", "bpfwarden"}},
      {{"id", 2},
       {"name", "good"},
       {"standing", "admitted"},
       {"admission", {{"signature", "prog-only"}, {"signer", "netops"}}}},
      {{"id", 3}, {"name", "old"}, {"standing", "resident"}, {"kernel_verdict", "unsigned"}},
      {{"id", 4},
       {"name", "trace"},
       {"standing", "would be denied"},
       {"digest", "aa"},
       {"admission", {{"signature", "unsigned"}, {"signer", nullptr}}}},
      {{"id", 5}, {"name", "?"}, {"standing", "UNEXPLAINED"}}};
  const auto events = recorded({event(1, json::object()), event(2, kDenied)});
  const auto rows = report_programs(inventory, events.table);
  REQUIRE(rows);
  std::vector<int> order;
  for (const json& row : *rows) order.push_back(row["program_id"].get<int>());
  CHECK(order == std::vector{5, 4, 3, 2, 1});
  CHECK((*rows)[1]["events"] == 2);
  CHECK((*rows)[1]["vouch"] == "unsigned");
  CHECK((*rows)[3]["vouch"] == "key:netops");
}

TEST_CASE("inventories of before, and of now, are read alike") {
  const json before = json::array({{{"id", 4},
                                    {"name", "trace"},
                                    {"type", "tracing"},
                                    {"digest", std::string(64, 'a')},
                                    {"maps", 2},
                                    {"processes", {{{"pid", 71}, {"comm", "agent"}}}}}});
  const json now = {{"programs",
                     {{{"program_id", 4},
                       {"program", "trace"},
                       {"program_type", "tracing"},
                       {"digest", "sha256:" + std::string(64, 'a')},
                       {"map_count", 2},
                       {"processes", {{{"tgid", 71}, {"comm", "agent"}}}}}}}};
  const auto events = recorded({});
  const auto rows = report_programs(before, events.table);
  REQUIRE(rows);
  CHECK(*rows == report_programs(now, events.table).value());
  CHECK((*rows)[0]["digest"] == "sha256:" + std::string(64, 'a'));
  CHECK((*rows)[0]["processes"][0]["tgid"] == 71);
}

TEST_CASE("files that hold something else are refused with what they must be") {
  const auto no_list = make_report(recorded({}), nullptr, json::object(), 10);
  REQUIRE_FALSE(no_list);
  CHECK(no_list.error().hint.contains("inventory --json"));
  CHECK_FALSE(make_report(recorded({}), nullptr, json::array({1}), 10));
  CHECK_FALSE(make_report(recorded({}), json::array(), nullptr, 10));
}

}  // namespace bpfwarden::loader
