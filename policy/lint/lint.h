// What is allowed to stand in a policy and is still likely a mistake, or weaker than it looks.
//
// Every lint is a warning with a code of its own, a place and a hint that says what to do. They
// look at the model and at the compiled image, so that a warning is about what is decided, not
// about how it is written. Nothing fails.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "bpf-lsm/abi/image.h"
#include "policy/language/model.h"
#include "policy/language/warnings.h"
#include "policy/text/diagnostic.h"

namespace bpfwarden::policy {

// `image` is compile()'s of `policy`; `now` is in Unix seconds. Adds warnings only.
void lint(const Policy& policy, const bw_image& image, int64_t now, DiagnosticList& diagnostics);

// What parse() found and, with it, what lint() finds; sorted by file and position.
[[nodiscard]] std::vector<Diagnostic> with_lint(std::vector<Diagnostic> found, const Policy& policy,
                                                const bw_image& image, int64_t now);

// Takes out of `found` what the policy accepts, and says of each acceptance that accepts nothing.
// How many were taken out.
[[nodiscard]] size_t take_accepted(std::vector<Diagnostic>& found, const Policy& policy);

// Likewise for what was found on a host, where one is at hand; nothing is said of the rest.
size_t drop_accepted(std::vector<Diagnostic>& found, const Policy& policy);

}  // namespace bpfwarden::policy
