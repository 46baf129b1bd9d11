// What runs, for a report: from the JSON of `bpfwarden inventory`, of this machine or another.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "base/result.h"
#include "loader/report/event_table.h"

namespace bpfwarden::loader {

// One row a program, what needs a look first: unexplained, denied, unsigned, then the rest, those
// of bpfwarden last. Each with how many of the events are about it: by digest, where there is one,
// else by name and attach point. Errors: `inventory` is no list of objects.
[[nodiscard]] Result<nlohmann::json> report_programs(const nlohmann::json& inventory,
                                                     const EventTable& events);

}  // namespace bpfwarden::loader
