// The words for modes, which the policy and its rules share.
#pragma once

#include <array>
#include <string_view>
#include <utility>

#include "policy/model.h"

namespace bpfwarden::policy {

inline constexpr auto kModeWords = std::to_array<std::pair<std::string_view, Mode>>({
    {"audit", Mode::audit},
    {"enforce", Mode::enforce},
});

}  // namespace bpfwarden::policy
