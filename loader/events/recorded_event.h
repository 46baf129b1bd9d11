// From an event as `bpfwarden events --json` printed it back to a situation.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/result.h"
#include "policy/image/situation.h"

namespace bpfwarden::loader {

// The one event that the file holds. Errors: an unreadable file, no JSON object, more than one.
[[nodiscard]] Result<nlohmann::json> read_event(const std::filesystem::path& path);

// The load or the attachment that the event tells of; an event of a load knows nothing of an
// attachment. Facts that the event lacks
// are taken for unknown, a lacking time for `now`. Errors: an event about something else than a
// program, a member of another type or with an unknown word, a signer that the policy does not
// have.
[[nodiscard]] Result<policy::Situation> situation_of_event(const nlohmann::json& event,
                                                           const policy::Policy& policy,
                                                           const bw_image& image, int64_t now);

}  // namespace bpfwarden::loader
