// What the verbs that change the active policy say about it.
#pragma once

#include "loader/rollout/apply.h"

namespace bpfwarden::loader {

// On stdout.
void print_applied(const CompiledPolicy& compiled, const Applied& applied, bool as_json);

// "policy 'edge' version 12, audit"
[[nodiscard]] std::string policy_line(const CompiledPolicy& compiled);

// "5 minutes"
[[nodiscard]] std::string duration_text(uint64_t seconds);

}  // namespace bpfwarden::loader
