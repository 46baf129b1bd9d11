// From an event as `bpfwarden events --json` printed it back to a situation.
#pragma once

#include <nlohmann/json.hpp>

#include "base/result.h"
#include "policy/situation.h"

namespace bpfwarden::loader {

// Facts that the event lacks are taken for unknown. Errors: an event about something else than a
// program, a member of another type, a signer that the policy does not have.
[[nodiscard]] Result<policy::Situation> situation_of_event(const nlohmann::json& event,
                                                           const policy::Policy& policy,
                                                           const bw_image& image);

}  // namespace bpfwarden::loader
