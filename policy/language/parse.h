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
#include "policy/language/model.h"
#include "policy/text/diagnostic.h"

namespace bpfwarden::policy {

inline constexpr size_t kMaxPolicyBytes = size_t{10} << 20;

// Reads every certificate of a file. Relative paths of the policy have been resolved against the
// folder of the policy file.
using CertificateReader =
    std::function<Result<std::vector<Certificate>>(const std::filesystem::path&)>;

// A file that lies where drop-ins do and is none.
struct PassedOver {
  std::string file, why;
};

struct ParseResult {
  std::optional<Policy> policy;         // exactly if there is no error
  std::vector<Diagnostic> diagnostics;  // sorted by file and position
  std::vector<SourceFile> sources;      // what was parsed, for render_all() and for the digest
  std::vector<PassedOver> passed_over;

  [[nodiscard]] explicit operator bool() const { return policy.has_value(); }
};

// The first file has the settings of the policy; all may have keys and rules, which follow each
// other in the order of the files. A file's name is also where its relative paths start. `now` is
// in Unix seconds; certificates must be valid at that time.
[[nodiscard]] ParseResult parse(std::vector<SourceFile> files, const CertificateReader& reader,
                                int64_t now);

// Reads the file, or standard input for "-", and the drop-ins beside it: `x.toml` is followed by
// `x.d/*.toml` in the order of their names; if it is a link, those beside what it leads to serve as
// well. Each up to kMaxPolicyBytes; that one cannot be read or is longer is a diagnostic at
// its 1:1.
[[nodiscard]] ParseResult parse_file(const std::filesystem::path& path,
                                     const CertificateReader& reader, int64_t now);

}  // namespace bpfwarden::policy
