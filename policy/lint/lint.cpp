#include "policy/lint/lint.h"

#include <algorithm>
#include <iterator>
#include <tuple>

#include "policy/lint/lint_parts.h"

namespace bpfwarden::policy {
namespace {

void lint_header(const Policy& policy, DiagnosticList& diagnostics) {
  if (policy.default_action == Action::allow)
    diagnostics.warning("default-allow", place_of(policy.settings, "default", {}),
                        "whatever no rule names is allowed",
                        "`default = \"deny\"` names what is allowed instead");
  if (policy.rules.empty())
    diagnostics.warning("no-rules", place_of(policy.settings, "rules", {}),
                        "the policy has no rules", "a rule begins with [[rules]]");
}

}  // namespace

void lint(const Policy& policy, const bw_image& image, int64_t now, DiagnosticList& diagnostics) {
  lint_header(policy, diagnostics);
  lint_keys(policy, now, diagnostics);
  lint_rules(policy, now, diagnostics);
  lint_reach(policy, image, now, diagnostics);
  lint_loads(policy, image, now, diagnostics);
}

void sort_by_place(std::vector<Diagnostic>& found, const Policy& policy) {
  const auto place = [&](const Diagnostic& one) {
    const auto file = std::find(policy.files.begin(), policy.files.end(), one.file);
    return std::tuple(file - policy.files.begin(), one.line, one.column);
  };
  std::stable_sort(found.begin(), found.end(),
                   [&](const auto& left, const auto& right) { return place(left) < place(right); });
}

std::vector<Diagnostic> with_lint(std::vector<Diagnostic> found, const Policy& policy,
                                  const bw_image& image, int64_t now) {
  DiagnosticList diagnostics(policy.files);
  lint(policy, image, now, diagnostics);
  std::vector<Diagnostic> added = diagnostics.take();
  std::move(added.begin(), added.end(), std::back_inserter(found));
  sort_by_place(found, policy);
  return found;
}

}  // namespace bpfwarden::policy
