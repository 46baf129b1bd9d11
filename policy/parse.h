// From the text of a policy to its model, with everything that is wrong with it in one run.
//
// Only parse.cpp knows TOML (https://toml.io/en/v1.0.0). The language is described in
// docs/policy.md. Nothing here prints; the only files read are the policy itself (parse_file) and,
// by the caller's CertificateReader, the certificates that it names.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "policy/diagnostic.h"
#include "policy/model.h"

namespace bpfwarden::policy {

inline constexpr size_t kMaxPolicyBytes = size_t{10} << 20;

// Reads every certificate of a file. Relative paths of the policy have been resolved against the
// folder of the policy file.
using CertificateReader =
    std::function<Result<std::vector<CertificateInfo>>(const std::filesystem::path&)>;

struct ParseResult {
  std::optional<Policy> policy;         // exactly if there is no error
  std::vector<Diagnostic> diagnostics;  // sorted by position
  std::string text;                     // what was parsed, for render() and for the digest

  [[nodiscard]] explicit operator bool() const { return policy.has_value(); }
};

// `file` names the text in diagnostics and is where relative paths start. `now` is in Unix seconds;
// certificates must be valid at that time.
[[nodiscard]] ParseResult parse(std::string_view text, const std::string& file,
                                const CertificateReader& reader, int64_t now);

// Reads up to kMaxPolicyBytes; that the file cannot be read or is longer is a diagnostic at 1:1.
[[nodiscard]] ParseResult parse_file(const std::filesystem::path& path,
                                     const CertificateReader& reader, int64_t now);

}  // namespace bpfwarden::policy
