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

// Where a cause comes from, and so what can be said of its decisions again from the facts alone.
enum class CauseClass : uint8_t {
  rules,         // a rule, or that none matched
  listed,        // the policy's `deny-digests`
  derived,       // follows from the facts and the policy, or is about no program
  guard,         // the kernel part refused before it looked at any rule; the facts do not tell
  attach_guard,  // likewise, and it is about an attachment alone
};
[[nodiscard]] CauseClass cause_class(bw_cause cause);

// Whether no rule can allow what was denied for it.
[[nodiscard]] bool is_fixed(bw_cause cause);

// Whether the words of the policy decided: its rules, or its list.
[[nodiscard]] bool is_up_to_policy(bw_cause cause);

// Whether no fact brings it back.
[[nodiscard]] bool is_guard(bw_cause cause);

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
