#include "loader/events/event_log.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "loader/events/event_json.h"
#include "loader/events/event_window.h"
#include "loader/events/events.h"
#include "loader/kernel/pins.h"

namespace bpfwarden::loader {
namespace {

using File = std::unique_ptr<FILE, int (*)(FILE*)>;

struct LogFile {
  std::string name;
  File file;
};

Result<LogFile> open_log_file(std::string name) {
  File file(std::fopen(name.c_str(), "re"), &std::fclose);
  if (file == nullptr)
    return unreadable(fail_errno(errno, "cannot read " + name,
                                 "`bpfwarden events --follow --output FILE` keeps events; "
                                 "bpfwarden-events.service does so in " +
                                     std::string(kEventLog)));
  return LogFile{std::move(name), std::move(file)};
}

// As EventFile rotates them, the newest first: so one that is renamed meanwhile is not left out,
// and known when it is met again.
Result<std::vector<LogFile>> open_log_files(const std::string& path) {
  std::vector<LogFile> files;
  std::set<std::pair<dev_t, ino_t>> met;
  for (unsigned number = 0;; number++) {
    auto one = open_log_file(number == 0 ? path : path + "." + std::to_string(number));
    if (!one && number == 0) return std::unexpected(std::move(one).error());
    if (!one) return files;
    struct stat found = {};
    if (::fstat(::fileno(one->file.get()), &found) != 0)
      return fail_errno(errno, "cannot look at " + one->name);
    if (met.emplace(found.st_dev, found.st_ino).second) files.push_back(std::move(*one));
  }
}

// What makes a line an event is that it says which hook tells it.
Result<Event> event_of_line(std::string_view line) {
  auto event = parse_event(line);
  if (event && event->hook.text.empty()) return fail("it has no `hook`");
  return event;
}

// As getline(3) makes it.
struct Line {
  char* text = nullptr;
  size_t room = 0;

  Line() = default;
  Line(const Line&) = delete;
  Line& operator=(const Line&) = delete;
  ~Line() { std::free(text); }
};

// Errors: errno of read(2).
Status read_lines(LogFile& log, const EventHandler& handle, EventLogRead& done) {
  Line line;
  for (uint64_t number = 1;; number++) {
    const ssize_t length = ::getline(&line.text, &line.room, log.file.get());
    if (length < 0 && std::ferror(log.file.get()) != 0)
      return fail_errno(errno, "cannot read " + log.name);
    if (length < 0) return {};
    std::string_view text(line.text, static_cast<size_t>(length));
    if (text.ends_with('\n')) text.remove_suffix(1);
    if (const auto event = event_of_line(text)) {
      done.events++;
      handle(*event);
    } else if (done.unreadable++ == 0) {
      done.first_problem =
          log.name + ", line " + std::to_string(number) + ": " + event.error().message;
    }
  }
}

// Tells an event of the file from one of the kernel's buffer. The sequence begins anew with each
// boot, and after `off`; the time since the boot does not repeat.
using EventMark = std::pair<uint64_t, uint64_t>;
EventMark mark_of(const Event& event) { return {event.sequence, event.time_ns}; }

Status walk_file(const std::string& path, const std::vector<Event>& in_kernel,
                 const EventHandler& handle, EventWalk& walk) {
  std::set<EventMark> marks;
  for (const Event& event : in_kernel) marks.insert(mark_of(event));
  auto done = read_event_log(path, [&](const Event& event) {
    if (marks.contains(mark_of(event))) return;
    walk.events++;
    handle(event);
  });
  if (!done) return std::unexpected(std::move(done).error());
  walk.file = path;
  walk.unreadable = done->unreadable;
  walk.first_problem = std::move(done->first_problem);
  return {};
}

// A file that was named. One without any line is a recording of nothing.
Status require_events(const EventWalk& walk) {
  if (walk.events != 0 || walk.unreadable == 0) return {};
  return unreadable(
      fail(walk.file + ": 0 of " + std::to_string(walk.unreadable) + " lines are events; " +
               walk.first_problem,
           "name a file that `bpfwarden events --output FILE` wrote, or `events --json`"));
}

}  // namespace

Result<EventLogRead> read_event_log(const std::filesystem::path& path, const EventHandler& handle) {
  EventLogRead done;
  auto files = open_log_files(path.string());
  if (!files) return std::unexpected(std::move(files).error());
  for (auto oldest = files->rbegin(); oldest != files->rend(); ++oldest)
    if (Status read = read_lines(*oldest, handle, done); !read)
      return std::unexpected(std::move(read).error());
  return done;
}

Result<std::vector<Event>> events_in_kernel(Summed which) {
  std::vector<Event> events;
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
      events.push_back(from_record(event, names.image(event.generation)));
  return events;
}

std::string unreadable_text(const EventWalk& walk) {
  return "not read: " + std::to_string(walk.unreadable) +
         (walk.unreadable == 1 ? " line of " : " lines of ") + walk.file +
         (walk.unreadable == 1 ? " is no event; " : " are no events; ") + walk.first_problem;
}

Result<EventWalk> walk_events(const EventSource& source, const EventHandler& handle) {
  EventWalk walk;
  if (source.is_left_out) return EventWalk{.sources = "no events"};
  if (!source.file.empty()) {
    if (Status done = walk_file(source.file, {}, handle, walk); !done)
      return std::unexpected(std::move(done).error());
    if (Status any = require_events(walk); !any) return std::unexpected(std::move(any).error());
    walk.sources = std::to_string(walk.events) + " events of " + walk.file;
    return walk;
  }
  std::error_code error;
  const bool is_kept = std::filesystem::exists(kEventLog, error);
  const auto in_kernel = events_in_kernel(is_kept ? Summed::untold : Summed::all);
  if (!in_kernel) return std::unexpected(in_kernel.error());
  if (is_kept)
    if (Status done = walk_file(kEventLog, *in_kernel, handle, walk); !done)
      return std::unexpected(std::move(done).error());
  for (const Event& event : *in_kernel) handle(event);
  walk.events += in_kernel->size();
  walk.sources = std::to_string(walk.events) + " events of " +
                 (is_kept ? walk.file + " and of the kernel's buffer" : "the kernel's buffer");
  return walk;
}

}  // namespace bpfwarden::loader
