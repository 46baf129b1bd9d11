#include "loader/refusals.h"

#include <algorithm>
#include <set>
#include <utility>

#include "loader/event_log.h"
#include "loader/moment.h"
#include "loader/pins.h"

namespace bpfwarden::loader {
namespace {

using nlohmann::json;

// What makes two events tell the same story. Process ids and versions of the policy do not.
std::string story_of(const json& event) {
  std::string story;
  for (const char* member : {"hook", "attach", "program", "signature", "signer", "digest", "exe",
                             "comm", "cgroup", "rule", "cause", "origin", "mode"})
    story += text_of(event, member) + '\n';
  for (const char* member : {"uid", "errno", "refused"})
    if (const auto found = event.find(member); found != event.end()) story += found->dump() + '\n';
  return story;
}

// The sequence begins anew with each boot, and after `off`; the time since the boot does not
// repeat.
using EventId = std::pair<int64_t, int64_t>;

EventId id_of(const json& event) {
  return {number_of(event, "sequence"), number_of(event, "time_ns")};
}

Result<RefusalLog> read_file(const std::filesystem::path& path, int64_t since) {
  RefusalLog log(since);
  const auto done = read_event_log(path, [&](const json& event) { log.add(event); });
  if (!done) return std::unexpected(done.error());
  return log;
}

}  // namespace

std::string text_of(const json& event, const char* member) {
  const auto found = event.find(member);
  return found != event.end() && found->is_string() ? found->get<std::string>() : std::string();
}

int64_t number_of(const json& event, const char* member) {
  const auto found = event.find(member);
  return found != event.end() && found->is_number_integer() ? found->get<int64_t>() : 0;
}

bool is_refusal(const json& event) {
  return text_of(event, "decision") == "deny" && text_of(event, "hook") != "staged";
}

void RefusalLog::add(const json& event) {
  if (!is_refusal(event)) return;
  const int64_t time = parse_utc(text_of(event, "time")).value_or(0) / kMicrosPerSecond;
  if (time < since_) return;
  RefusalGroup& group = groups_[story_of(event)];
  if (group.count++ == 0) group.first = time;
  group.last = time;
  group.order = ++added_;
  group.event = event;
}

std::vector<RefusalGroup> RefusalLog::latest(size_t limit) const {
  std::vector<RefusalGroup> all;
  all.reserve(groups_.size());
  for (const auto& [story, group] : groups_) all.push_back(group);
  std::ranges::sort(all, std::ranges::greater(), &RefusalGroup::order);
  if (all.size() > limit) all.resize(limit);
  return all;
}

Result<RefusalLog> read_refusals(const RefusalSource& source) {
  if (source.file) return read_file(*source.file, source.since);
  auto recent = events_in_kernel();
  if (!recent) return std::unexpected(std::move(recent).error());
  std::set<EventId> in_kernel;
  for (const json& event : *recent) in_kernel.insert(id_of(event));
  RefusalLog log(source.since);
  const auto kept = read_event_log(kEventLog, [&](const json& event) {
    if (!in_kernel.contains(id_of(event))) log.add(event);
  });
  if (!kept && kept.error().code != ENOENT) return std::unexpected(kept.error());
  if (const auto pins = open_pins(); !kept && pins && !*pins)
    return fail("no policy is active, and no events are kept in " + std::string(kEventLog),
                "run `bpfwarden apply POLICY` first, or name recorded events with --events FILE");
  for (const json& event : *recent) log.add(event);
  return log;
}

}  // namespace bpfwarden::loader
