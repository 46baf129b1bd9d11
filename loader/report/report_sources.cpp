#include "loader/report/report_sources.h"

#include <set>
#include <utility>

#include "base/file.h"
#include "loader/events/event_log.h"
#include "loader/report/report_inventory.h"
#include "policy/text/wording.h"

namespace bpfwarden::loader {
namespace {

using nlohmann::json;

// Takes events in, of a span, each once.
class Collector {
 public:
  Collector(RecordedEvents& events, const ReportSpan& span) : events_(events), span_(span) {}

  void add(const json& event) {
    const auto time = event_time(event);
    if (time && ((span_.since && *time < *span_.since) || (span_.until && *time > *span_.until))) {
      events_.recording.outside++;
      return;
    }
    if (!events_.table.add(event)) events_.recording.unreadable++;
  }
  // Of those in the kernel's buffer most are in the file already.
  void add_unless_kept(const std::vector<json>& in_kernel) {
    std::set<std::pair<uint64_t, uint64_t>> kept;
    for (const TableEntry& entry : events_.table.entries())
      kept.emplace(entry.time_ns, entry.sequence);
    for (const json& event : in_kernel)
      if (!kept.contains({event["time_ns"].get<uint64_t>(), event["sequence"].get<uint64_t>()}))
        add(event);
  }

 private:
  RecordedEvents& events_;
  const ReportSpan& span_;
};

Status read_file(const std::filesystem::path& path, Collector& collector, Recording& recording) {
  const auto done = read_event_log(path, [&](const json& event) { collector.add(event); });
  if (!done) return std::unexpected(done.error());
  recording.unreadable += done->unreadable;
  return {};
}

Status read_machine(Collector& collector, RecordedEvents& events) {
  std::error_code error;
  const bool is_recorded = std::filesystem::exists(kEventLog, error);
  if (is_recorded) {
    if (Status done = read_file(kEventLog, collector, events.recording); !done) return done;
  } else {
    events.notes.push_back("There is no recording in " + std::string(kEventLog) +
                           ": only events that are still in the kernel's buffer are counted. "
                           "bpfwarden-events.service keeps all of them.");
  }
  const auto in_kernel = events_in_kernel(is_recorded ? Summed::untold : Summed::all);
  if (!in_kernel) return std::unexpected(in_kernel.error());
  collector.add_unless_kept(*in_kernel);
  return {};
}

// Why, and what to do, for each cause that an event may name.
json causes_to_json() {
  json causes = json::object();
  for (int i = 0; i < BW_CAUSES; i++) {
    const auto cause = static_cast<bw_cause>(i);
    causes[policy::cause_name(cause)] = {{"text", policy::cause_text(cause)},
                                         {"next", policy::next_step(cause)}};
  }
  return causes;
}

}  // namespace

Result<RecordedEvents> read_recorded_events(const std::filesystem::path& path,
                                            const ReportSpan& span) {
  RecordedEvents events{EventTable(path.empty() ? read_cgroups() : CgroupPaths()), {}, {}};
  Collector collector(events, span);
  const Status done =
      path.empty() ? read_machine(collector, events) : read_file(path, collector, events.recording);
  if (!done) return std::unexpected(done.error());
  events.table.sort();
  return events;
}

Result<json> read_json_file(const std::filesystem::path& path) {
  constexpr size_t limit = size_t{256} << 20;
  const auto bytes = bpfwarden::read_file(path, limit);
  if (!bytes) return std::unexpected(bytes.error());
  json value = json::parse(*bytes, nullptr, false);
  if (value.is_discarded())
    return fail(path.string() + " is no JSON",
                "write it with `bpfwarden inventory --json` or `bpfwarden status --json`");
  return value;
}

Result<json> make_report(const RecordedEvents& events, const json& status, const json& inventory,
                         size_t most_rows) {
  if (!status.is_null() && !status.is_object())
    return fail("this is no status", "it must be the output of `bpfwarden status --json`");
  json report = to_json(count_events(events.table, events.recording), most_rows);
  report["status"] = status;
  report["notes"] = events.notes;
  report["causes"] = causes_to_json();
  report["programs"] = nullptr;
  if (inventory.is_null()) return report;
  auto programs = report_programs(inventory, events.table);
  if (!programs) return std::unexpected(std::move(programs).error());
  report["programs"] = std::move(*programs);
  return report;
}

}  // namespace bpfwarden::loader
