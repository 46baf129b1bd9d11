// What the numbers of a decision mean, in words for the person who is woken by one.
//
// All texts are static. A number that this version does not know has a text that says so.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "bpf-lsm/abi/cause.h"
#include "bpf-lsm/abi/event.h"
#include "bpf-lsm/abi/image.h"

namespace bpfwarden::policy {

// What happened, as one clause: "no rule of the policy matched".
[[nodiscard]] std::string_view cause_text(bw_cause cause);

// What to do about it, as one sentence.
[[nodiscard]] std::string_view next_step(bw_cause cause);

// Whether no rule can allow what was denied for it.
[[nodiscard]] bool is_fixed(bw_cause cause);

// All such causes with their texts, as the table in docs/policy.md.
[[nodiscard]] std::string fixed_denials();

// The words of the policy file and of the events.
// The word for a cause in events and scripts: "rule", "lsm-bypass".
[[nodiscard]] std::string_view cause_name(bw_cause cause);
[[nodiscard]] std::optional<bw_cause> cause_named(std::string_view name);

[[nodiscard]] std::string_view signature_name(bw_signature signature);
[[nodiscard]] std::string_view origin_name(bw_origin origin);
[[nodiscard]] std::string_view mode_name(bw_mode mode);
// "link-create"; empty for a load.
[[nodiscard]] std::string_view route_name(bw_route route);

}  // namespace bpfwarden::policy
