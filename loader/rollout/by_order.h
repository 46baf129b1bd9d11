// What takes a signature where the active policy has `policy-signed-by`, besides `apply`
// (docs/adr/0022): to end the policy, to bring back the one before, to stage and to promote. On a
// sealed host the kernel part asks for it; on one that is not, bpfwarden does. Each function that
// changes something holds the Lock of pins.h; on failure everything is as before.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "loader/policies/active_policy.h"
#include "loader/rollout/rollout.h"
#include "loader/signed/request.h"
#include "loader/signed/signed_policy.h"

namespace bpfwarden::loader {

// What is to be signed: of this host, this boot and the policy that is active now. It is the same
// one until an order was taken. Errors: nobody may sign; there is no policy to go back to, or it is
// from before the seal.
[[nodiscard]] Result<bw_request> make_request(bw_request_verb verb);

// Errors: `verb` takes a signed order here. A policy that awaits its confirmation, or is not sealed
// yet though it says so, may be given up without one on a host that is not sealed.
[[nodiscard]] Status require_no_order(const ActivePolicy& active, bw_request_verb verb);

// Has the kernel part let go of the host: from then on it decides nothing, and all of it can be
// taken away. Errors: what the kernel part says of the order.
[[nodiscard]] Status release(const ActivePolicy& active, const SignedRequest& request);

// Brings back the policy before, for good; where that is done, makes up for what a run that was
// ended then has left over. Errors: what the kernel part says of the order.
[[nodiscard]] Result<Promoted> rollback_by_order(const SignedRequest& request);

// Has a signed policy asked beside the active one, as stage() does. Where the active policy names
// nobody in `policy-signed-by` it is staged as any other. Returns its generation.
[[nodiscard]] Result<uint64_t> stage_signed(const SignedPolicy& policy);

// Of promote(), where only what was signed may become active.
[[nodiscard]] Result<Promoted> promote_signed(const ActivePolicy& active,
                                              const PreflightOptions& options);

}  // namespace bpfwarden::loader
