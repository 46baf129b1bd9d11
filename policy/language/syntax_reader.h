// The TOML of one file, without any meaning: what policies and their tests are read from.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "base/result.h"
#include "policy/language/syntax.h"
#include "policy/text/diagnostic.h"

namespace bpfwarden::policy {

// `number` is the file's in SourceRange::file. Reports what is wrong and then returns nothing.
[[nodiscard]] std::optional<Table> read_syntax(const SourceFile& source, uint32_t number,
                                               DiagnosticList& diagnostics);

// The text of a file, or of standard input for "-". Errors: of read_file(), errno kept.
[[nodiscard]] Result<std::string> read_text(const std::filesystem::path& path);

}  // namespace bpfwarden::policy
