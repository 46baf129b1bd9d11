// What was loaded on this host, as far as anything tells of it: recorded events, the kernel's
// buffer, and the programs that are there now. For `suggest` and for the preflight of a policy.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "loader/event_log.h"
#include "loader/inventory.h"
#include "policy/suggest.h"

namespace bpfwarden::loader {

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

struct SeenLoads {
  std::vector<policy::SeenLoad> loads;  // each kind once
  std::string sources;
};

// Errors as of walk_events().
[[nodiscard]] Result<SeenLoads> read_seen_events(const EventSource& source);

// Nothing for events that are not about a load, and for members that no version writes so.
[[nodiscard]] std::optional<policy::SeenLoad> seen_load_of(const nlohmann::json& event);

// Programs in the kernel, without bpfwarden's own. `keys` names who signed, by public key.
[[nodiscard]] std::vector<policy::SeenLoad> seen_loads_of(
    const std::vector<ListedProgram>& programs, const std::vector<policy::Key>& keys);

}  // namespace bpfwarden::loader
