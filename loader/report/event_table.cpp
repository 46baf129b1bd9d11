#include "loader/report/event_table.h"

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>

#include "loader/text/json_member.h"
#include "loader/text/systemd_unit.h"

namespace bpfwarden::loader {
namespace {

using nlohmann::json;

// As text, whatever it is: a recording may come from a later version.
std::string shown_text(const json& event, std::string_view name) {
  const auto found = event.find(name);
  if (found == event.end() || found->is_null()) return "";
  if (found->is_string()) return found->get<std::string>();
  return found->dump(-1, ' ', false, json::error_handler_t::replace);
}

// 0 for what is none.
uint64_t unsigned_of(const json& event, std::string_view name) {
  const auto found = event.find(name);
  if (found == event.end() || !found->is_number_integer()) return 0;
  return found->is_number_unsigned() || found->get<int64_t>() >= 0 ? found->get<uint64_t>() : 0;
}

std::string lines_of(const json& event, std::string_view name) {
  std::string lines;
  const auto found = event.find(name);
  if (found == event.end() || !found->is_array()) return lines;
  for (const json& line : *found)
    if (line.is_string()) lines += (lines.empty() ? "" : "\n") + line.get<std::string>();
  return lines;
}

EventOutcome outcome_of(const json& event) {
  const std::string hook = shown_text(event, "hook");
  if (hook == "observed") return EventOutcome::rejected;
  if (hook == "staged") return EventOutcome::staged;
  if (is_true(event, "refused")) return EventOutcome::refused;
  return shown_text(event, "decision") == "deny" ? EventOutcome::would_deny : EventOutcome::allowed;
}

struct Starter {
  std::string name, kind;
};

Starter starter_of(const std::string& cgroup, const std::string& exe, const std::string& comm) {
  if (std::string unit = unit_of_cgroup(cgroup); !unit.empty()) return {std::move(unit), "unit"};
  if (!exe.empty()) return {exe, "exe"};
  return {comm, "comm"};
}

}  // namespace

std::string_view outcome_name(EventOutcome outcome) {
  switch (outcome) {
    case EventOutcome::allowed:
      return "allowed";
    case EventOutcome::would_deny:
      return "would-deny";
    case EventOutcome::refused:
      return "refused";
    case EventOutcome::rejected:
      return "rejected";
    case EventOutcome::staged:
      break;
  }
  return "staged";
}

std::string_view field_name(Field field) {
  static constexpr auto names =
      std::to_array<std::string_view>({"outcome",      "hook",          "active_decision",
                                       "decision",     "errno",         "wanted_key",
                                       "mode",         "rule",          "rule_line",
                                       "cause",        "almost",        "signature",
                                       "vouch",        "origin",        "attach",
                                       "family",       "route",         "program",
                                       "digest",       "loader_digest", "unit",
                                       "unit_kind",    "exe",           "comm",
                                       "uid",          "cgroup",        "policy_version",
                                       "policy_digest"});
  static_assert(names.size() == kFields);
  return names[static_cast<size_t>(field)];
}

std::string vouch_of(std::string_view signature, std::string_view signer) {
  if (!signer.empty()) return "key:" + std::string(signer);
  return signature.empty() || signature == "unsigned" ? "unsigned" : "unknown-key";
}

std::string family_of(std::string_view attach) {
  return std::string(attach.substr(0, attach.find_first_of("/@")));
}

EventTable::EventTable(CgroupPaths cgroups) : cgroups_(std::move(cgroups)) {}

size_t EventTable::HashOfShape::operator()(const Shape& shape) const {
  return std::hash<std::string_view>()(
      {reinterpret_cast<const char*>(shape.data()), sizeof(Shape)});
}

uint32_t EventTable::number_of(std::string text) {
  const auto [found, is_new] = numbers_.try_emplace(std::move(text), texts_.size());
  if (is_new) texts_.push_back(found->first);
  return found->second;
}

uint32_t EventTable::shape_of(const json& event, EventOutcome outcome) {
  std::string cgroup = shown_text(event, "cgroup");
  if (cgroup.empty())
    if (const auto known = cgroups_.find(unsigned_of(event, "cgroup_id")); known != cgroups_.end())
      cgroup = known->second;
  const std::string attach = shown_text(event, "attach"),
                    signature = shown_text(event, "signature");
  const Starter starter = starter_of(cgroup, shown_text(event, "exe"), shown_text(event, "comm"));
  Shape shape = {};
  const auto set = [&](Field field, std::string text) {
    shape[static_cast<size_t>(field)] = number_of(std::move(text));
  };
  for (const Field field :
       {Field::hook, Field::active_decision, Field::decision, Field::error, Field::wanted_key,
        Field::mode, Field::rule, Field::rule_line, Field::cause, Field::origin, Field::route,
        Field::program, Field::digest, Field::loader_digest, Field::exe, Field::comm, Field::uid,
        Field::policy_version, Field::policy_digest})
    set(field, shown_text(event, field_name(field)));
  set(Field::outcome, std::string(outcome_name(outcome)));
  set(Field::almost, lines_of(event, "almost"));
  set(Field::signature, signature);
  set(Field::vouch, vouch_of(signature, shown_text(event, "signer")));
  set(Field::attach, attach);
  set(Field::family, family_of(attach));
  set(Field::unit, starter.name);
  set(Field::unit_kind, starter.kind);
  set(Field::cgroup, std::move(cgroup));
  const auto [found, is_new] = shape_numbers_.try_emplace(shape, shapes_.size());
  if (is_new) {
    shapes_.push_back(shape);
    outcomes_.push_back(outcome);
  }
  return found->second;
}

bool EventTable::add(const json& event) {
  const auto time = event_time(event);
  if (!time || shown_text(event, "hook").empty()) return false;
  const auto small = [&](const char* name) {
    return static_cast<uint32_t>(unsigned_of(event, name));
  };
  entries_.push_back({.time = *time,
                      .time_ns = unsigned_of(event, "time_ns"),
                      .sequence = unsigned_of(event, "sequence"),
                      .shape = shape_of(event, outcome_of(event)),
                      .program_id = small("program_id"),
                      .tgid = small("tgid"),
                      .count = count_of_event(event)});
  return true;
}

// Events of earlier versions have whole seconds only.
std::optional<Micros> event_time(const json& event) {
  if (const auto time = parse_utc(shown_text(event, "time"))) return time;
  const uint64_t seconds = unsigned_of(event, "wall_time");
  constexpr uint64_t most = uint64_t{1} << 40;
  if (seconds == 0 || seconds > most) return std::nullopt;
  return static_cast<Micros>(seconds) * 1'000'000;
}

void EventTable::sort() { std::ranges::stable_sort(entries_, {}, &TableEntry::time); }

// Within a run of the numbers an event may come a little before one with a smaller number; a new
// run begins a while later, with a much smaller one.
uint64_t missing_between(std::vector<TableEntry> entries) {
  constexpr Micros while_ = 1'000'000;
  uint64_t missing = 0, first = 0, last = 0, count = 0;
  Micros time = 0;
  const auto end_run = [&] {
    if (count != 0 && last - first + 1 > count) missing += last - first + 1 - count;
  };
  std::ranges::stable_sort(entries, {}, &TableEntry::time);
  for (const TableEntry& entry : entries) {
    if (entry.sequence == 0) continue;
    if (count == 0 || (entry.sequence < last && entry.time - time > while_)) {
      end_run();
      first = last = entry.sequence;
      count = 0;
    }
    first = std::min(first, entry.sequence);
    if (entry.sequence >= last) time = entry.time;
    last = std::max(last, entry.sequence);
    count++;
  }
  end_run();
  return missing;
}

}  // namespace bpfwarden::loader
