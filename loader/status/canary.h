// Whether the kernel asks us: a load that the active policy denies is tried. That the policy is in
// the kernel's maps, and links of the hooks are there, says less than one program that did not get
// in.
#pragma once

#include <string>

#include "base/result.h"
#include "loader/policies/policy_file.h"

namespace bpfwarden::loader {

enum class CanaryResult : uint8_t {
  refused,   // EPERM, and counted as ours
  told,      // let through in audit mode, and counted
  untested,  // the policy denies none of the loads that are tried
};

struct Canary {
  CanaryResult result = CanaryResult::untested;
  std::string attach;  // what was loaded: "socket", …
};

// "a load that the policy denies was refused (socket)"
[[nodiscard]] std::string canary_text(const Canary& canary);

// Loads an unsigned program of two instructions by bpf(2), and drops it. `policy` must be the
// active one. Errors: it was let in, or refused by somebody else, or nobody counted it; errno of
// reading the counters.
[[nodiscard]] Result<Canary> try_canary(const CompiledPolicy& policy);

}  // namespace bpfwarden::loader
