// A signed policy in the place of one with `policy-signed-by`: verified, and made active, by the
// kernel part (loader/signed/order.h).
#pragma once

#include "base/result.h"
#include "loader/policies/active_policy.h"
#include "loader/rollout/apply.h"
#include "loader/signed/order.h"
#include "loader/signed/signed_policy.h"

namespace bpfwarden::loader {

// Where the active policy names nobody in `policy-signed-by`, or none is active, it is applied as
// any other is (apply.h). Else the kernel part decides; the confirm window is the signed one.
// Errors: as of apply(), and what the kernel part says.
[[nodiscard]] Result<Applied> apply_signed(const SignedPolicy& policy, const ApplyOptions& options);

// Whether the active policy is replaced by signed ones alone.
[[nodiscard]] bool asks_for_signatures(const bw_image& active);

// For those who hold the Lock. Errors: the signed image `next` may not follow the active one, as
// the kernel part would say as well; with what to do.
[[nodiscard]] Status require_successor(const ActivePolicy& active, const bw_image& next);

// Likewise: makes the keyring of `compiled`, has an order change the policy to that, and makes the
// keyring the published one. `within`: seconds until it has to be confirmed; 0: it stays. `order`
// needs its `sealed` and `ring` no more. Errors: what the kernel part says of it; of the keyring.
[[nodiscard]] Result<Applied> change_by_order(const ActivePolicy& active, Order order,
                                              const CompiledPolicy& compiled, uint64_t within);

// Likewise, where the kernel part has taken it already, and who asked for that was ended. Its
// keyring went with who had made it, unless it was published.
[[nodiscard]] Result<Applied> make_up_for_order(const ActivePolicy& active,
                                                const CompiledPolicy& compiled);

// Likewise, once that is done.
[[nodiscard]] Result<Applied> keep_ordered(const ActivePolicy& before, const Applied& applied,
                                           const bw_image& image);

}  // namespace bpfwarden::loader
