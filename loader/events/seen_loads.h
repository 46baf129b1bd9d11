// What was loaded on this host, as far as anything tells of it: recorded events, the kernel's
// buffer, and the programs that are there now. For `suggest` and for the preflight of a policy.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "loader/events/event_log.h"
#include "loader/inventory/inventory.h"
#include "policy/answers/suggest.h"

namespace bpfwarden::loader {

struct SeenLoads {
  std::vector<policy::SeenLoad> loads;        // each kind once
  std::vector<policy::SeenLoad> attachments;  // likewise; runs too
  uint64_t by_threads = 0;  // attachments that were, or would be, refused to callers with threads
  std::string sources;
};

// Errors as of walk_events().
[[nodiscard]] Result<SeenLoads> read_seen_events(const EventSource& source);

// Nothing for events that are not about a load, and for causes that this version does not know.
[[nodiscard]] std::optional<policy::SeenLoad> seen_load_of(const Event& event);

// Likewise for an attachment or a run, which is no other load of its program.
[[nodiscard]] std::optional<policy::SeenLoad> seen_attachment_of(const Event& event);

// Programs in the kernel, without bpfwarden's own. `base` names who signed, by public key; may be
// null.
[[nodiscard]] std::vector<policy::SeenLoad> seen_loads_of(
    const std::vector<ListedProgram>& programs, const bw_image* base);

}  // namespace bpfwarden::loader
