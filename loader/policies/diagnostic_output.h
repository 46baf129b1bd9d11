// Diagnostics for machines: JSON, GitHub's annotations, SARIF.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "policy/text/diagnostic.h"

namespace bpfwarden::loader {

enum class DiagnosticFormat : uint8_t { text, json, github, sarif };

// Nothing for a word that is no format.
[[nodiscard]] std::optional<DiagnosticFormat> diagnostic_format(std::string_view word);

// A list, as docs/json.md has it.
[[nodiscard]] nlohmann::json diagnostics_json(std::span<const policy::Diagnostic> diagnostics);

// Workflow commands, one line each: `::warning file=…,line=…::…`
// (docs.github.com/actions/reference/workflow-commands-for-github-actions).
[[nodiscard]] std::string to_github(std::span<const policy::Diagnostic> diagnostics);

// SARIF 2.1.0 (OASIS). Relative paths stay relative, as code scanning wants them.
[[nodiscard]] std::string to_sarif(std::span<const policy::Diagnostic> diagnostics);

}  // namespace bpfwarden::loader
