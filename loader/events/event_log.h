// Events from before this moment: those that `bpfwarden events --output FILE` has kept, and those
// that are still in the kernel's buffer, read by somebody or not. Nothing is taken from the stream.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "base/result.h"
#include "loader/events/denial_summaries.h"

namespace bpfwarden::loader {

// Where packaging/bpfwarden-events.service keeps them.
inline constexpr const char* kEventLog = "/var/log/bpfwarden/events.jsonl";

using RecordedEventHandler = std::function<void(const nlohmann::json&)>;

struct EventLogRead {
  uint64_t events = 0;
  uint64_t unreadable = 0;  // lines that are no JSON object, such as one that is being written
};

// FILE.N, ..., FILE.1, FILE: oldest first, an event at a time as event_to_json() wrote it. Errors:
// errno of open(2), if FILE is not there; what is rotated away in between is left out.
[[nodiscard]] Result<EventLogRead> read_event_log(const std::filesystem::path& path,
                                                  const RecordedEventHandler& handle);

// Those in the kernel's buffers (some 3,000 fit, and as many denials), oldest first, and denials
// that it has summed up. Empty where no policy is active. Errors: errno of bpf(2) or mmap(2).
[[nodiscard]] Result<std::vector<nlohmann::json>> events_in_kernel(Summed which);

// Both together, as a verb is asked to look back.
struct EventSource {
  std::string file;  // empty: kEventLog if it is there, and the kernel's buffer
  bool is_left_out = false;
};

struct EventWalk {
  uint64_t events = 0;
  uint64_t unreadable = 0;  // lines that are no event
  std::string sources;      // for people: "1204 events of /var/log/… and of the kernel's buffer"
};

// Each event once. Errors: the file that was named cannot be read; errno of bpf(2).
[[nodiscard]] Result<EventWalk> walk_events(const EventSource& source,
                                            const RecordedEventHandler& handle);

}  // namespace bpfwarden::loader
