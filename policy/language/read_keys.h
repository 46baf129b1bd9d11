// The [keys.*] tables: named trust anchors.
#pragma once

#include <string_view>
#include <vector>

#include "policy/language/fields.h"
#include "policy/language/read_policy.h"

namespace bpfwarden::policy {

// `entry` is the setting `keys`. Certificates are read and their validity is checked here.
[[nodiscard]] std::vector<Key> read_keys(const Entry& entry, const ReadContext& context,
                                         DiagnosticList& diagnostics);

// An array of names of keys. `in` is for messages: "this rule".
[[nodiscard]] std::vector<KeyReference> read_key_references(const Fields& fields,
                                                            const Entry& entry,
                                                            const std::vector<Key>& keys,
                                                            std::string_view in,
                                                            DiagnosticList& diagnostics);

// Reports more different public keys than an image holds.
void check_signers(const std::vector<Key>& keys, DiagnosticList& diagnostics);

}  // namespace bpfwarden::policy
