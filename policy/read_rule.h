// The [[rules]]: who may put what where.
#pragma once

#include <vector>

#include "policy/read_policy.h"

namespace bpfwarden::policy {

// `entry` is the setting `rules`; `keys` are those that signed-by may name.
[[nodiscard]] std::vector<Rule> read_rules(const Entry& entry, const std::vector<Key>& keys,
                                           DiagnosticList& diagnostics);

}  // namespace bpfwarden::policy
