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

void lint_seal(const Policy& policy, DiagnosticList& diagnostics) {
  if (!policy.seal) return;
  const SourceRange where = place_of(policy.settings, "seal", {});
  if (policy.mode == Mode::audit)
    diagnostics.warning("seal-in-audit", where,
                        "a policy in audit mode is sealed: it refuses nothing, and only a signed "
                        "one takes its place",
                        "try it without `seal`, and add that together with mode = \"enforce\"");
  if (policy.policy_signers.keys.empty())
    diagnostics.warning("seal-until-reboot", where,
                        "a policy is sealed that names nobody in `policy-signed-by`: only a reboot "
                        "changes it",
                        "name who may sign the next one: policy-signed-by = [\"a-key\"]");
}

}  // namespace

void lint(const Policy& policy, const bw_image& image, int64_t now, DiagnosticList& diagnostics) {
  lint_header(policy, diagnostics);
  lint_seal(policy, diagnostics);
  lint_keys(policy, now, diagnostics);
  lint_rules(policy, now, diagnostics);
  lint_attach(policy, diagnostics);
  lint_reach(policy, image, now, diagnostics);
  lint_loads(policy, image, now, diagnostics);
}

SourceRange place_of(const Diagnostic& diagnostic, const Policy& policy) {
  const auto file = std::ranges::find(policy.files, diagnostic.file);
  return {diagnostic.line, diagnostic.column, diagnostic.width,
          static_cast<uint32_t>(file - policy.files.begin())};
}

void sort_by_place(std::vector<Diagnostic>& found, const Policy& policy) {
  std::ranges::stable_sort(found, {}, [&](const Diagnostic& one) {
    const SourceRange place = place_of(one, policy);
    return std::tuple(place.file, place.line, place.column);
  });
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
