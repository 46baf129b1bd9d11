#include "loader/report/report_sources.h"

#include <utility>

#include "base/file.h"
#include "loader/events/event_log.h"
#include "loader/report/report_inventory.h"
#include "loader/text/json_members.h"
#include "policy/text/wording.h"

namespace bpfwarden::loader {
namespace {

using nlohmann::json;

bool is_within(const ReportSpan& span, Micros time) {
  return (!span.since || time >= *span.since) && (!span.until || time <= *span.until);
}

void add_event(const Event& event, const ReportSpan& span, RecordedEvents& events) {
  const auto time = event_time(event);
  if (time && !is_within(span, *time))
    events.recording.outside++;
  else if (!events.table.add(event))
    events.recording.unreadable++;
}

// Why, and what to do, for each cause that an event may name.
json causes_to_json() {
  json causes = json::object();
  for (int i = 0; i < BW_CAUSES; i++) {
    const auto cause = static_cast<bw_cause>(i);
    causes[policy::cause_name(cause)] =
        object_of({{"reason", policy::cause_text(cause)}, {"next", policy::next_step(cause)}});
  }
  return causes;
}

}  // namespace

Result<RecordedEvents> read_recorded_events(const std::filesystem::path& path,
                                            const ReportSpan& span) {
  RecordedEvents events{EventTable(path.empty() ? read_cgroups() : CgroupPaths()), {}, {}};
  const auto walk =
      walk_events({.file = path}, [&](const Event& event) { add_event(event, span, events); });
  if (!walk) return std::unexpected(walk.error());
  events.recording.unreadable += walk->unreadable;
  if (walk->file.empty())
    events.notes.push_back("There is no recording in " + std::string(kEventLog) +
                           ": only events that are still in the kernel's buffer are counted. "
                           "bpfwarden-events.service keeps all of them.");
  events.table.sort();
  return events;
}

Result<json> read_json_file(const std::filesystem::path& path) {
  constexpr size_t limit = size_t{256} << 20;
  const auto bytes = bpfwarden::read_file(path, limit);
  if (!bytes) return unreadable(bytes.error());
  json value = json::parse(*bytes, nullptr, false);
  if (value.is_discarded())
    return unreadable(
        fail(path.string() + " is no JSON",
             "write it with `bpfwarden inventory --json` or `bpfwarden status --json`"));
  return value;
}

Result<json> make_report(const RecordedEvents& events, const json& status, const json& inventory,
                         size_t most_rows) {
  if (!status.is_null() && !status.is_object())
    return unreadable(
        fail("this is no status", "it must be the output of `bpfwarden status --json`"));
  json report = to_json(count_events(events.table, events.recording), most_rows);
  put(report, "status", status);
  put(report, "notes", events.notes);
  put(report, "causes", causes_to_json());
  put(report, "programs", nullptr);
  if (inventory.is_null()) return report;
  auto programs = report_programs(inventory, events.table);
  if (!programs) return unreadable(std::move(programs).error());
  put(report, "programs", std::move(*programs));
  return report;
}

}  // namespace bpfwarden::loader
