// A load as `bpfwarden explain` takes it, so that whoever reads of a difference can see it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "policy/diff/diff_parts.h"

namespace bpfwarden::policy {

// The options of `explain` that describe the load, `now` not being said. None where they would not
// be answered as the load itself is.
[[nodiscard]] std::optional<std::vector<std::string>> explain_options(const DiffSide& side,
                                                                      const Situation& load,
                                                                      int64_t now);

}  // namespace bpfwarden::policy
