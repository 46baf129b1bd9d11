// Loads that went through once, from recorded events: each kind once, with all facts that a rule
// can ask for, so that another policy can decide about them.
#pragma once

#include <nlohmann/json.hpp>
#include <vector>

#include "base/result.h"
#include "loader/seen_loads.h"

namespace bpfwarden::loader {

struct RecordedKind {
  nlohmann::json event;  // the last of them
  policy::SeenLoad seen;
};

// Errors as of read_seen_events().
[[nodiscard]] Result<std::vector<RecordedKind>> read_recorded_loads(const EventSource& source);

}  // namespace bpfwarden::loader
