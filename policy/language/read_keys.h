// The [keys.*] tables: named trust anchors.
#pragma once

#include <vector>

#include "policy/language/read_policy.h"

namespace bpfwarden::policy {

// `entry` is the setting `keys`. Certificates are read and their validity is checked here.
[[nodiscard]] std::vector<Key> read_keys(const Entry& entry, const ReadContext& context,
                                         DiagnosticList& diagnostics);

// Reports more different public keys than an image holds.
void check_signers(const std::vector<Key>& keys, DiagnosticList& diagnostics);

}  // namespace bpfwarden::policy
