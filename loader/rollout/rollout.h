// How a policy is tried: staged beside the active one, made active until somebody confirms, taken
// back. Each function holds the Lock of pins.h; on failure everything is as before.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "loader/rollout/apply.h"
#include "loader/rollout/preflight.h"

namespace bpfwarden::loader {

// Keeps the active policy for good, and for the next boot. Where none awaits that, it finishes what
// a run has left undone that was ended once its policy decided. Errors: there is nothing to do, or
// too late.
[[nodiscard]] Result<Applied> confirm(const Progress& progress = {});

// Has `checked` asked beside the active policy, from its next decision on. Returns its generation.
[[nodiscard]] Result<uint64_t> stage(const CheckedPolicy& checked);

// Nothing is staged any more. False if nothing was.
[[nodiscard]] Result<bool> unstage();

struct Promoted {
  CheckedPolicy policy;
  Applied applied;
  std::string taken_away;  // by its revocations, to be told (require_accepted())
};

struct PromoteOptions {
  ApplyOptions apply;
  PreflightOptions preflight;
};

// Applies what is staged, as apply() would.
[[nodiscard]] Result<Promoted> promote(const PromoteOptions& options);

// Brings back what was active before: at once, by the very image, where the active policy awaits
// confirmation; else from its copy, as a new generation, which awaits it like any other that begins
// to enforce. Versions may go down here.
[[nodiscard]] Result<Promoted> rollback(const ApplyOptions& options);

}  // namespace bpfwarden::loader
