// The normal form of a policy file: settings in the order of the language, `=` aligned, arrays on
// one line where they fit. Comments, the order of tables and the meaning stay.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "policy/text/diagnostic.h"

namespace bpfwarden::policy {

// `number` is the file's in SourceRange::file. Reports what is no TOML, with its place, and then
// returns nothing; what the policy says need not be right. The result reads as the same values as
// `source`: that is checked, so that a mistake of the formatter loses nothing.
[[nodiscard]] std::optional<std::string> format_policy(const SourceFile& source, uint32_t number,
                                                       DiagnosticList& diagnostics);

}  // namespace bpfwarden::policy
