// The edit of a policy that takes trust in one certificate away: text in, text out, comments and
// layout as they were.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "policy/language/model.h"
#include "policy/text/diagnostic.h"

namespace bpfwarden::policy {

// `sources` are what `policy` was parsed from. Adds `entry` (docs/policy.md, `revoked`) to
// policy.keys[key], in the spelling of its other settings, and raises the policy's version by one.
// Errors: `sources` are others. What it returns has not been parsed.
[[nodiscard]] Result<std::vector<SourceFile>> revoke(const Policy& policy,
                                                     std::vector<SourceFile> sources, size_t key,
                                                     const std::string& entry);

}  // namespace bpfwarden::policy
