// The warnings that a policy can draw, by their codes, and those that it accepts.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "policy/language/fields.h"
#include "policy/language/model.h"

namespace bpfwarden::policy {

struct LintCode {
  std::string_view code;
  std::string_view meaning;  // one line
  bool of_host = false;      // drawn only where a host or its BTF is at hand
};

// Every code that a warning can have, in alphabetical order; `duplicate` comes from parse().
[[nodiscard]] std::span<const LintCode> lint_codes();

// `accept` of a policy or a rule: "CODE: why". Errors: no such code.
[[nodiscard]] std::vector<AcceptedWarning> read_accept(const Fields& fields,
                                                       DiagnosticList& diagnostics);

}  // namespace bpfwarden::policy
