// Refusals for the person who has to do something about them: in sentences, and as JSON.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "loader/events/refusals.h"

namespace bpfwarden::loader {

// Several lines: how often and when; who tried what; why not; what to do. `now`: Unix seconds.
[[nodiscard]] std::string refusal_text(const RefusalGroup& group, int64_t now);
[[nodiscard]] nlohmann::json refusal_to_json(const RefusalGroup& group);

}  // namespace bpfwarden::loader
