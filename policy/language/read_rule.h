// The [[rules]]: who may put what where.
#pragma once

#include <vector>

#include "policy/language/read_policy.h"

namespace bpfwarden::policy {

// `entry` is the setting `rules` of one file; its rules are added to those of `policy`, whose keys
// are all read.
void read_rules(const Entry& entry, Policy& policy, DiagnosticList& diagnostics);

}  // namespace bpfwarden::policy
