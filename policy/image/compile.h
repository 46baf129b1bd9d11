// From the model of a policy to the image that decide.h reads (bpf-lsm/abi/image.h).
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "base/result.h"
#include "bpf-lsm/abi/image.h"
#include "policy/language/model.h"

namespace bpfwarden::policy {

// `digest` is the SHA-256 of the policy file and its certificates, which the caller computes. Equal
// policies give equal bytes. Errors: more rules, keys, names or sets of rules than fit; a parsed
// policy fails only for the last two.
[[nodiscard]] Result<std::unique_ptr<bw_image>> compile(const Policy& policy,
                                                        std::span<const uint8_t, 32> digest);

}  // namespace bpfwarden::policy
