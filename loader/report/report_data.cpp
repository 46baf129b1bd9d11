#include "loader/report/report_data.h"

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>

#include "loader/text/json_members.h"
#include "policy/answers/probes.h"

namespace bpfwarden::loader {
namespace {

using nlohmann::json;

bool is_denial(EventOutcome outcome) {
  return outcome == EventOutcome::would_deny || outcome == EventOutcome::refused;
}

bool is_load(const std::string& hook) { return hook == "bpf_prog_load" || hook == "bpf_prog"; }

bool is_probe(const EventTable& events, const TableEntry& entry) {
  if (!is_load(events.text(entry, Field::hook)) ||
      events.text(entry, Field::vouch) != vouch_of("unsigned", ""))
    return false;
  policy::RecordedLoad load;
  load.attach = events.text(entry, Field::attach);
  load.program = events.text(entry, Field::program);
  return policy::is_feature_probe(load);
}

template <class Row>
void count_denial(Row& row, EventOutcome outcome, const TableEntry& entry) {
  if (row.would_deny + row.refused == 0) row.first = entry.time;
  row.last = entry.time;
  (outcome == EventOutcome::refused ? row.refused : row.would_deny) += entry.count;
}

// Both lists at once: each counts how many of the other belong to it.
class Denials {
 public:
  explicit Denials(const EventTable& events) : events_(events) {}

  void add(const TableEntry& entry, EventOutcome outcome) {
    const auto text = [&](Field field) -> const std::string& { return events_.text(entry, field); };
    const ProgramKey key = {text(Field::hook), text(Field::program), text(Field::attach),
                            text(Field::digest)};
    DeniedProgram& program = programs_[key];
    std::tie(program.hook, program.program, program.attach, program.digest) = key;
    program.vouch = text(Field::vouch);
    program.signature = text(Field::signature);
    program.rule = text(Field::rule);
    program.cause = text(Field::cause);
    program.is_probe = is_probe(events_, entry);
    count_denial(program, outcome, entry);
    const UnitKey unit_key = {text(Field::unit), text(Field::unit_kind)};
    DeniedUnit& unit = units_[unit_key];
    std::tie(unit.unit, unit.kind) = unit_key;
    count_denial(unit, outcome, entry);
    if (!pairs_.emplace(key, unit_key).second) return;
    program.units++;
    unit.programs++;
  }
  [[nodiscard]] std::vector<DeniedProgram> programs() const { return sorted(programs_); }
  [[nodiscard]] std::vector<DeniedUnit> units() const { return sorted(units_); }

 private:
  using ProgramKey = std::tuple<std::string, std::string, std::string, std::string>;
  using UnitKey = std::tuple<std::string, std::string>;

  template <class Key, class Row>
  static std::vector<Row> sorted(const std::map<Key, Row>& rows) {
    std::vector<Row> list;
    for (const auto& [key, row] : rows) list.push_back(row);
    std::ranges::stable_sort(list, std::greater<>(),
                             [](const Row& row) { return row.would_deny + row.refused; });
    return list;
  }

  const EventTable& events_;
  std::map<ProgramKey, DeniedProgram> programs_;
  std::map<UnitKey, DeniedUnit> units_;
  std::set<std::pair<ProgramKey, UnitKey>> pairs_;
};

void see_policy(std::vector<SeenPolicy>& policies, const EventTable& events,
                const TableEntry& entry, EventOutcome outcome) {
  const std::string& digest = events.text(entry, Field::policy_digest);
  const uint64_t version = std::strtoull(events.text(entry, Field::policy_version).c_str(), nullptr,
                                         10);  // a number as text
  auto found = std::ranges::find_if(policies, [&](const SeenPolicy& seen) {
    return seen.digest == digest && seen.version == version;
  });
  if (found == policies.end())
    found = policies.insert(found, {.version = version, .digest = digest, .first = entry.time});
  found->events++;
  found->counts[static_cast<size_t>(outcome)] += entry.count;
  found->last = entry.time;
}

json counts_to_json(const OutcomeCounts& counts) {
  json named = json::object();
  for (size_t i = 0; i < kOutcomes; i++)
    named[outcome_name(static_cast<EventOutcome>(i))] = counts[i];
  return named;
}

json to_json(const DeniedProgram& row) {
  return object_of({{"hook", row.hook},
                    {"program", row.program},
                    {"attach", text_or_null(row.attach)},
                    {"digest", text_or_null(row.digest)},
                    {"vouch", row.vouch},
                    {"signature", text_or_null(row.signature)},
                    {"rule", text_or_null(row.rule)},
                    {"cause", row.cause},
                    {"would_deny", row.would_deny},
                    {"refused", row.refused},
                    {"units", row.units},
                    {"probe", row.is_probe},
                    {"first", utc_text(row.first)},
                    {"last", utc_text(row.last)}});
}

json to_json(const DeniedUnit& row) {
  return object_of({{"unit", row.unit},
                    {"kind", row.kind},
                    {"would_deny", row.would_deny},
                    {"refused", row.refused},
                    {"programs", row.programs},
                    {"first", utc_text(row.first)},
                    {"last", utc_text(row.last)}});
}

template <class Row>
json list_to_json(const std::vector<Row>& list, size_t most_rows) {
  json rows = json::array();
  uint64_t would_deny = 0, refused = 0;
  for (const Row& row : list) {
    if (rows.size() < most_rows) {
      rows.push_back(to_json(row));
      continue;
    }
    would_deny += row.would_deny;
    refused += row.refused;
  }
  return object_of({{"total", list.size()},
                    {"others", object_of({{"would_deny", would_deny}, {"refused", refused}})},
                    {"rows", std::move(rows)}});
}

json matrix_to_json(const Matrix& matrix) {
  json cells = json::array();
  for (const auto& [place, counts] : matrix) {
    json cell = counts_to_json(counts);
    put(cell, "vouch", place.first);
    put(cell, "family", place.second);
    cells.push_back(std::move(cell));
  }
  return cells;
}

json timeline_to_json(const Timeline& timeline) {
  json lanes = json::object();
  for (size_t i = 0; i < kOutcomes; i++) {
    json& lane = lanes[outcome_name(static_cast<EventOutcome>(i))] = json::array();
    for (const TimelineBin& bin : timeline.bins) lane.push_back(bin.counts[i]);
  }
  return object_of({{"start", utc_text(timeline.start)},
                    {"step_seconds", timeline.step / 1'000'000},
                    {"lanes", std::move(lanes)}});
}

json policies_to_json(const std::vector<SeenPolicy>& policies) {
  json list = json::array();
  for (const SeenPolicy& seen : policies)
    list.push_back(object_of({{"policy_version", seen.version},
                              {"policy_digest", text_or_null(seen.digest)},
                              {"events", seen.events},
                              {"counts", counts_to_json(seen.counts)},
                              {"first", utc_text(seen.first)},
                              {"last", utc_text(seen.last)}}));
  return list;
}

}  // namespace

ReportNumbers count_events(const EventTable& events, const Recording& recording) {
  ReportNumbers numbers = {.recording = recording};
  Denials denials(events);
  for (const TableEntry& entry : events.entries()) {
    const EventOutcome outcome = events.outcome(entry);
    numbers.counts[static_cast<size_t>(outcome)] += entry.count;
    if (outcome != EventOutcome::staged) see_policy(numbers.policies, events, entry, outcome);
    if (is_probe(events, entry)) numbers.probes[static_cast<size_t>(outcome)] += entry.count;
    if (is_denial(outcome)) denials.add(entry, outcome);
    if (is_load(events.text(entry, Field::hook)))
      numbers.matrix[{events.text(entry, Field::vouch), events.text(entry, Field::family)}]
                    [static_cast<size_t>(outcome)] += entry.count;
  }
  numbers.recording.received = events.entries().size();
  numbers.recording.missing = missing_between(events.entries());
  if (!events.entries().empty()) {
    numbers.first = events.entries().front().time;
    numbers.last = events.entries().back().time;
  }
  numbers.denied_programs = denials.programs();
  numbers.denied_units = denials.units();
  numbers.timeline = make_timeline(events);
  return numbers;
}

json to_json(const ReportNumbers& numbers, size_t most_rows) {
  const bool is_empty = numbers.recording.received == 0;
  json recording = object_of({{"received", numbers.recording.received},
                              {"missing", numbers.recording.missing},
                              {"unreadable", numbers.recording.unreadable},
                              {"outside", numbers.recording.outside},
                              {"first", is_empty ? json() : json(utc_text(numbers.first))},
                              {"last", is_empty ? json() : json(utc_text(numbers.last))}});
  return object_of({{"recording", std::move(recording)},
                    {"counts", counts_to_json(numbers.counts)},
                    {"probes", counts_to_json(numbers.probes)},
                    {"policies", policies_to_json(numbers.policies)},
                    {"matrix", matrix_to_json(numbers.matrix)},
                    {"denied_programs", list_to_json(numbers.denied_programs, most_rows)},
                    {"denied_units", list_to_json(numbers.denied_units, most_rows)},
                    {"timeline", timeline_to_json(numbers.timeline)}});
}

}  // namespace bpfwarden::loader
