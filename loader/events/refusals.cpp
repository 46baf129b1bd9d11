#include "loader/events/refusals.h"

#include <algorithm>
#include <utility>

#include "loader/kernel/pins.h"
#include "loader/text/moment.h"

namespace bpfwarden::loader {
namespace {

// The probes of a tool are one story, of whichever types they are.
std::string story_of_probe(const Event& event) {
  std::string story = "probe\n";
  for (const std::string& part :
       {event.exe, event.comm, event.cgroup, event.rule, event.cause.text, event.mode.text})
    story += part + '\n';
  return story + (event.refused ? "refused" : "");
}

// What makes two events tell the same story. Process ids and versions of the policy do not.
std::string story_of(const Event& event) {
  if (is_feature_probe(event)) return story_of_probe(event);
  std::string story;
  for (const std::string& part :
       {event.hook.text, event.attach, event.route.text, event.object, event.program,
        event.signature.text, event.signer, event.digest, event.exe, event.comm, event.cgroup,
        event.rule, event.cause.text, event.origin.text, event.mode.text,
        event.uid ? std::to_string(*event.uid) : "", std::to_string(event.error)})
    story += part + '\n';
  return story + (event.refused ? "refused" : "");
}

}  // namespace

void RefusalLog::add(const Event& event) {
  if (!is_refusal(event) || is_look(event)) return;
  const int64_t time = event_time(event).value_or(0) / kMicrosPerSecond;
  if (time < since_) return;
  if (process_ != 0 && event.tgid != process_ && event.pid != process_) return;
  RefusalGroup& group = groups_[story_of(event)];
  if (group.count == 0) group.first = time;
  group.count += event.count;
  group.last = time;
  group.order = ++added_;
  group.event = event;
}

size_t RefusalLog::probes() const {
  return static_cast<size_t>(std::ranges::count_if(
      groups_, [](const auto& entry) { return is_feature_probe(entry.second.event); }));
}

std::vector<RefusalGroup> RefusalLog::latest(size_t limit) const {
  std::vector<RefusalGroup> all;
  all.reserve(groups_.size());
  for (const auto& [story, group] : groups_) all.push_back(group);
  std::ranges::sort(all, std::ranges::greater(), &RefusalGroup::order);
  if (all.size() > limit) all.resize(limit);
  return all;
}

Result<Refusals> read_refusals(const RefusalSource& source) {
  std::error_code error;
  const auto pins = open_pins();
  if (!source.file && pins && !*pins && !std::filesystem::exists(kEventLog, error))
    return fail("no policy is active, and no events are kept in " + std::string(kEventLog),
                "run `bpfwarden apply POLICY` first, or name recorded events with --events FILE");
  RefusalLog log(source.since, source.process);
  auto walk =
      walk_events({.file = source.file.value_or("")}, [&](const Event& event) { log.add(event); });
  if (!walk) return std::unexpected(std::move(walk).error());
  return Refusals{std::move(log), std::move(*walk)};
}

}  // namespace bpfwarden::loader
