// What is active now, as JSON: for `status --json` and for the page of `report`.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "loader/status/status.h"

namespace bpfwarden::loader {

[[nodiscard]] nlohmann::json abilities_json(const KernelAbilities& kernel);
[[nodiscard]] nlohmann::json status_to_json(const KernelStatus& status);
// Nothing: no policy is active.
[[nodiscard]] nlohmann::json status_to_json(const std::optional<KernelStatus>& status);

}  // namespace bpfwarden::loader
