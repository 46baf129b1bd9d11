// A refusal as sentences, for the person who has to do something about it.
#pragma once

#include <cstdint>
#include <string>

#include "loader/events/refusals.h"

namespace bpfwarden::loader {

// Several lines: how often and when; who tried what; why not; what to do. `now`: Unix seconds;
// `columns` as of explanation_text().
[[nodiscard]] std::string refusal_text(const RefusalGroup& group, int64_t now, size_t columns = 0);

}  // namespace bpfwarden::loader
