// The history: events from before this moment, those that `bpfwarden events --output FILE` has
// kept, and those that are still in the kernel's buffers, read by somebody or not. Nothing is taken
// from the stream.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"
#include "loader/events/denial_summaries.h"
#include "loader/events/event.h"

namespace bpfwarden::loader {

// Where packaging/bpfwarden-events.service keeps them.
inline constexpr const char* kEventLog = "/var/log/bpfwarden/events.jsonl";

struct EventLogRead {
  uint64_t events = 0;
  uint64_t unreadable = 0;    // lines that are no event, such as one that is being written
  std::string first_problem;  // of these: which line, and what is wrong with it
};

// FILE.N, ..., FILE.1, FILE: oldest first, an event at a time; each file once, though it is renamed
// meanwhile. Errors: errno of open(2), if FILE is not there.
[[nodiscard]] Result<EventLogRead> read_event_log(const std::filesystem::path& path,
                                                  const EventHandler& handle);

// Those in the kernel's buffers (some 3,000 fit, and as many denials), oldest first, and denials
// that it has summed up. Empty where no policy is active. Errors: errno of bpf(2) or mmap(2).
[[nodiscard]] Result<std::vector<Event>> events_in_kernel(Summed which);

// Both together, as a verb is asked to look back.
struct EventSource {
  std::string file;  // empty: kEventLog if it is there, and the kernel's buffer
  bool is_left_out = false;
};

struct EventWalk {
  uint64_t events = 0;
  uint64_t unreadable = 0;  // as of EventLogRead
  std::string first_problem;
  std::string file;     // that was read; empty: none, only the kernel's buffer
  std::string sources;  // for people: "1204 events of /var/log/… and of the kernel's buffer"
};

// "not read: 2 lines of FILE are no events; FILE, line 7: ...", where there are such.
[[nodiscard]] std::string unreadable_text(const EventWalk& walk);

// Each event once. Errors: the file that was named cannot be read, or has lines of which none is an
// event; errno of bpf(2).
[[nodiscard]] Result<EventWalk> walk_events(const EventSource& source, const EventHandler& handle);

}  // namespace bpfwarden::loader
