// The conditions of a rule beside attach point and signer: which programs, loaded by whom, when.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/language/fields.h"

namespace bpfwarden::policy {

// `entry` is a setting of `fields` that lists programs by their digests.
void read_digests(const Fields& fields, const Entry& entry, std::vector<ProgramDigest>& digests,
                  DiagnosticList& diagnostics);

// `sha256:` and 64 small hexadecimal digits; nothing if it is anything else.
[[nodiscard]] std::optional<ProgramDigest> parse_digest(std::string_view text);

[[nodiscard]] std::string digest_text(const ProgramDigest& digest);

// All of them.
void read_conditions(const Fields& fields, Rule& rule, DiagnosticList& diagnostics);

}  // namespace bpfwarden::policy
