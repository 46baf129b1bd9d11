#include "loader/event_log.h"

#include <cerrno>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "loader/event_window.h"
#include "loader/events.h"
#include "loader/pins.h"

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

Result<std::vector<nlohmann::json>> events_in_kernel() {
  std::vector<nlohmann::json> events;
  const auto pins = open_pins();
  if (!pins) return std::unexpected(pins.error());
  if (!*pins) return events;
  const auto window = EventWindow::open(**pins);
  if (!window) return std::unexpected(window.error());
  PolicyNames names(**pins);
  for (const bw_event& event : window->kept())
    events.push_back(event_to_json(event, names.image(event.generation)));
  return events;
}

}  // namespace bpfwarden::loader
