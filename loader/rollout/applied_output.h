// What the verbs that change the active policy say about it.
#pragma once

#include "loader/rollout/apply.h"

namespace bpfwarden::loader {

// On stdout.
void print_applied(const CompiledPolicy& compiled, const Applied& applied, bool as_json);

// On stdout, where an initramfs has not the policy that a boot comes up with now: what to do.
void print_stale_initramfs();

// "policy 'edge' version 12, audit"
[[nodiscard]] std::string policy_line(const CompiledPolicy& compiled);

// "5 minutes"
[[nodiscard]] std::string duration_text(uint64_t seconds);

}  // namespace bpfwarden::loader
