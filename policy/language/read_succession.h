// What takes the place of a policy: `seal`, and who signs the next one.
#pragma once

#include "policy/language/fields.h"
#include "policy/language/model.h"
#include "policy/text/diagnostic.h"

namespace bpfwarden::policy {

// `fields` are those of the policy itself; its keys, and those of the drop-ins, are all read.
void read_succession(const Fields& fields, Policy& policy, DiagnosticList& diagnostics);

}  // namespace bpfwarden::policy
