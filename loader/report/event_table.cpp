#include "loader/report/event_table.h"

#include <algorithm>
#include <functional>

#include "base/joined.h"
#include "loader/text/systemd_unit.h"

namespace bpfwarden::loader {
namespace {

std::string prefixed(const std::string& digest) { return digest.empty() ? "" : "sha256:" + digest; }

template <class Number>
std::string text_or_none(const std::optional<Number>& number) {
  return number ? std::to_string(*number) : "";
}

EventOutcome outcome_of(const Event& event) {
  if (event.hook == BW_HOOK_OBSERVED) return EventOutcome::rejected;
  if (event.hook == BW_HOOK_STAGED) return EventOutcome::staged;
  if (event.refused) return EventOutcome::refused;
  return event.decision == Decision::deny ? EventOutcome::would_deny : EventOutcome::allowed;
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
      return "would_deny";
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

std::string EventTable::cgroup_of(const Event& event) const {
  if (!event.cgroup.empty()) return event.cgroup;
  const auto known = cgroups_.find(event.cgroup_id);
  return known != cgroups_.end() ? known->second : "";
}

uint32_t EventTable::shape_of(const Event& event, EventOutcome outcome) {
  std::string cgroup = cgroup_of(event);
  Starter starter = starter_of(cgroup, event.exe, event.comm);
  Shape shape = {};
  const auto set = [&](Field field, std::string text) {
    shape[static_cast<size_t>(field)] = number_of(std::move(text));
  };
  set(Field::outcome, std::string(outcome_name(outcome)));
  set(Field::hook, event.hook.text);
  set(Field::active_decision, event.active_decision.text);
  set(Field::decision, event.decision.text);
  set(Field::error, std::to_string(event.error));
  set(Field::wanted_key, event.wanted_key);
  set(Field::mode, event.mode.text);
  set(Field::rule, event.rule);
  set(Field::rule_line, text_or_none(event.rule_line));
  set(Field::cause, event.cause.text);
  set(Field::almost, joined(event.almost, "\n"));
  set(Field::signature, event.signature.text);
  set(Field::vouch, vouch_of(event.signature.text, event.signer));
  set(Field::origin, event.origin.text);
  set(Field::attach, event.attach);
  set(Field::family, family_of(event.attach));
  set(Field::route, event.route.text);
  set(Field::program, event.program);
  set(Field::digest, prefixed(event.digest));
  set(Field::loader_digest, prefixed(event.loader_digest));
  set(Field::unit, std::move(starter.name));
  set(Field::unit_kind, std::move(starter.kind));
  set(Field::exe, event.exe);
  set(Field::comm, event.comm);
  set(Field::uid, text_or_none(event.uid));
  set(Field::cgroup, std::move(cgroup));
  set(Field::policy_version, std::to_string(event.policy_version));
  set(Field::policy_digest, prefixed(event.policy_digest));
  return number_of_shape(shape, outcome);
}

uint32_t EventTable::number_of_shape(const Shape& shape, EventOutcome outcome) {
  const auto [found, is_new] = shape_numbers_.try_emplace(shape, shapes_.size());
  if (is_new) {
    shapes_.push_back(shape);
    outcomes_.push_back(outcome);
  }
  return found->second;
}

bool EventTable::add(const Event& event) {
  const auto time = event_time(event);
  if (!time || event.hook.text.empty()) return false;
  entries_.push_back({.time = *time,
                      .time_ns = event.time_ns,
                      .sequence = event.sequence,
                      .shape = shape_of(event, outcome_of(event)),
                      .program_id = event.program_id,
                      .tgid = event.tgid,
                      .count = event.count});
  return true;
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
