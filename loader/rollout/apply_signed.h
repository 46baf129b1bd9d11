// A signed policy in the place of one with `policy-signed-by`: verified, and made active, by the
// kernel part (loader/signed/order.h).
#pragma once

#include "base/result.h"
#include "loader/rollout/apply.h"
#include "loader/signed/signed_policy.h"

namespace bpfwarden::loader {

// Where the active policy names nobody in `policy-signed-by`, or none is active, it is applied as
// any other is (apply.h). Else the kernel part decides; the confirm window is the signed one.
// Errors: as of apply(), and what the kernel part says.
[[nodiscard]] Result<Applied> apply_signed(const SignedPolicy& policy, const ApplyOptions& options);

// Whether the active policy is replaced by signed ones alone.
[[nodiscard]] bool asks_for_signatures(const bw_image& active);

}  // namespace bpfwarden::loader
