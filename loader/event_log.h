// Events from before this moment: those that `bpfwarden events --output FILE` has kept, and those
// that are still in the kernel's buffer, read by somebody or not. Nothing is taken from the stream.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "base/result.h"

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

// Those in the kernel's buffer (some 6,000 fit), oldest first. Empty where no policy is active.
// Errors: errno of bpf(2) or mmap(2).
[[nodiscard]] Result<std::vector<nlohmann::json>> events_in_kernel();

}  // namespace bpfwarden::loader
