// From the syntax of a policy file to its model: what each setting means, and what is wrong with
// it.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "policy/language/model.h"
#include "policy/language/parse.h"
#include "policy/language/syntax.h"
#include "policy/text/diagnostic.h"

namespace bpfwarden::policy {

// What the caller of parse() gave; refers to it.
struct ReadContext {
  std::vector<std::string> files;  // by SourceRange::file
  const CertificateReader& reader;
  int64_t now;
};

// Reads all of it, whatever is wrong; the result is a policy only if `diagnostics` has no errors.
// The first document has the settings of the policy, the others add keys and rules.
[[nodiscard]] Policy read_policy(std::span<const Table> documents, const ReadContext& context,
                                 DiagnosticList& diagnostics);

class Fields;

// The setting `description` of any table; empty if there is none.
[[nodiscard]] std::string read_description(const Fields& fields);

// `edge.toml:12`, for hints that point elsewhere.
[[nodiscard]] std::string place_text(const std::vector<std::string>& files, SourceRange where);

}  // namespace bpfwarden::policy
