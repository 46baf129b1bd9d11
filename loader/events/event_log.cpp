#include "loader/events/event_log.h"

#include <cerrno>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <utility>

#include "loader/events/event_window.h"
#include "loader/events/events.h"
#include "loader/kernel/pins.h"
#include "loader/text/json_member.h"

namespace bpfwarden::loader {
namespace {

// As EventFile rotates them, oldest first.
std::vector<std::filesystem::path> files_of(const std::filesystem::path& path) {
  std::vector<std::filesystem::path> files = {path};
  std::error_code error;
  for (unsigned number = 1;; number++) {
    const std::filesystem::path older = path.string() + "." + std::to_string(number);
    if (!std::filesystem::exists(older, error)) break;
    files.insert(files.begin(), older);
  }
  return files;
}

void read_lines(std::istream& file, const RecordedEventHandler& handle, EventLogRead& done) {
  for (std::string line; std::getline(file, line);) {
    const auto event = nlohmann::json::parse(line, nullptr, false);
    if (!event.is_object()) {
      done.unreadable++;
      continue;
    }
    done.events++;
    handle(event);
  }
}

// Tells an event of the file from one of the kernel's buffer. The sequence begins anew with each
// boot, and after `off`; the time since the boot does not repeat.
using EventMark = std::pair<int64_t, int64_t>;
EventMark mark_of(const nlohmann::json& event) {
  return {number_of(event, "sequence"), number_of(event, "time_ns")};
}

Status walk_file(const std::filesystem::path& path, const std::vector<nlohmann::json>& in_kernel,
                 const RecordedEventHandler& handle, EventWalk& walk) {
  std::set<EventMark> marks;
  for (const nlohmann::json& event : in_kernel) marks.insert(mark_of(event));
  const auto done = read_event_log(path, [&](const nlohmann::json& event) {
    if (marks.contains(mark_of(event))) return;
    walk.events++;
    handle(event);
  });
  if (!done) return std::unexpected(done.error());
  walk.unreadable = done->unreadable;
  return {};
}

}  // namespace

Result<EventLogRead> read_event_log(const std::filesystem::path& path,
                                    const RecordedEventHandler& handle) {
  EventLogRead done;
  for (const auto& one : files_of(path)) {
    errno = 0;
    std::ifstream file(one);
    if (file)
      read_lines(file, handle, done);
    else if (one == path)
      return fail_errno(errno, "cannot read " + path.string(),
                        "`bpfwarden events --follow --output FILE` keeps events; "
                        "bpfwarden-events.service does so in " +
                            std::string(kEventLog));
  }
  return done;
}

Result<std::vector<nlohmann::json>> events_in_kernel(Summed which) {
  std::vector<nlohmann::json> events;
  const auto pins = open_pins();
  if (!pins) return std::unexpected(pins.error());
  if (!*pins) return events;
  const auto window = EventWindow::open(**pins);
  if (!window) return std::unexpected(window.error());
  const auto sums = summed_denials(**pins, which);
  if (!sums) return std::unexpected(sums.error());
  PolicyNames names(**pins);
  for (const auto& some : {window->kept(), *sums})
    for (const bw_event& event : some)
      events.push_back(event_to_json(event, names.image(event.generation)));
  return events;
}

Result<EventWalk> walk_events(const EventSource& source, const RecordedEventHandler& handle) {
  EventWalk walk;
  if (source.is_left_out) return EventWalk{.sources = "no events"};
  std::vector<nlohmann::json> in_kernel;
  std::error_code error;
  std::string file = source.file;
  if (file.empty()) {
    if (std::filesystem::exists(kEventLog, error)) file = kEventLog;
    auto kept = events_in_kernel(file.empty() ? Summed::all : Summed::untold);
    if (!kept) return std::unexpected(std::move(kept).error());
    in_kernel = std::move(*kept);
    walk.sources = file.empty() ? " events of the kernel's buffer"
                                : " events of " + file + " and of the kernel's buffer";
  } else {
    walk.sources = " events of " + file;
  }
  if (!file.empty())
    if (Status done = walk_file(file, in_kernel, handle, walk); !done)
      return std::unexpected(std::move(done).error());
  for (const nlohmann::json& event : in_kernel) handle(event);
  walk.events += in_kernel.size();
  walk.sources.insert(0, std::to_string(walk.events));
  return walk;
}

}  // namespace bpfwarden::loader
