// What `compile` and `verify` say of a compiled policy.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>

#include "loader/signed/signed_policy.h"

namespace bpfwarden::loader {

[[nodiscard]] nlohmann::json signed_policy_json(const std::string& folder,
                                                const SignedPolicy& policy,
                                                std::span<const PolicySignature> signatures);

// For people, in lines.
[[nodiscard]] std::string signed_policy_text(const std::string& folder, const SignedPolicy& policy,
                                             std::span<const PolicySignature> signatures);

}  // namespace bpfwarden::loader
