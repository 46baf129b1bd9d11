// Loads and attachments that went through once, from recorded events: each kind once, with all
// facts that a rule can ask for, so that another policy can decide about them.
#pragma once

#include <vector>

#include "base/result.h"
#include "loader/events/seen_loads.h"

namespace bpfwarden::loader {

struct RecordedKind {
  Event event;  // the last of them
  policy::SeenLoad seen;
};

struct RecordedKinds {
  std::vector<RecordedKind> loads;
  std::vector<RecordedKind> attachments;
  EventWalk walk;  // what was read for it
};

// Errors as of read_seen_events().
[[nodiscard]] Result<RecordedKinds> read_recorded_kinds(const EventSource& source);

}  // namespace bpfwarden::loader
