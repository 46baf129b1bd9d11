// From an event back to the situation that it tells of.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "loader/events/event.h"
#include "policy/image/situation.h"

namespace bpfwarden::loader {

// The load or the attachment that the event tells of; an event of a load knows nothing of an
// attachment. Facts that the event lacks are taken for unknown, a lacking time for `now`. Errors:
// an event about something else than a program, or with a word that this version does not know; a
// signer that the policy does not have.
[[nodiscard]] Result<policy::Situation> situation_of_event(const Event& event,
                                                           const policy::Policy& policy,
                                                           const bw_image& image, int64_t now);

}  // namespace bpfwarden::loader
