#include "policy/lint/lint.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <tuple>

#include "policy/lint/lint_parts.h"

namespace bpfwarden::policy {
namespace {

constexpr auto kCodes = std::to_array<LintCode>({
    {"ambiguous-at-load", "a load does not tell all attach points apart that the rule does"},
    {"audit-hole", "a rule in audit mode lets through what no rule matches"},
    {"ca-as-signer", "a CA certificate is trusted to sign programs itself"},
    {"certificate-expires", "a certificate expires within 60 days"},
    {"default-allow", "what no rule names is allowed"},
    {"duplicate", "the same word stands twice in a list"},
    {"exempt-by-subject", "a rule admits programs for who loads them, not for who signed them"},
    {"issuer-not-ca", "the certificate of an issuer is not that of a CA"},
    {"no-probe-rule", "the feature probes of libbpf and bpftool are refused"},
    {"no-rules", "the policy has no rules"},
    {"offset-at-attach", "the kernel knows a probe in a file by its offset alone"},
    {"refuses-bpfwarden", "a rule refuses bpfwarden's own programs"},
    {"revoked-key", "every certificate of a key is revoked"},
    {"rule-expired", "a rule is past its date"},
    {"rule-not-yet", "a rule begins more than a year from now"},
    {"shadowed-rule", "earlier rules decide about all that the rule names"},
    {"unsigned-powerful", "anybody's unsigned programs are allowed where they are powerful"},
    {"unused-key", "no rule names the key"},
    {"weak-key", "a key is shorter than NIST SP 800-57 asks for"},
    {"whole-keyring", "every key in a keyring of the kernel is trusted"},
});

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

std::span<const LintCode> lint_codes() { return kCodes; }

void lint(const Policy& policy, const bw_image& image, int64_t now, DiagnosticList& diagnostics) {
  lint_header(policy, diagnostics);
  lint_keys(policy, now, diagnostics);
  lint_rules(policy, now, diagnostics);
  lint_reach(policy, image, now, diagnostics);
  lint_loads(policy, image, now, diagnostics);
}

std::vector<Diagnostic> with_lint(std::vector<Diagnostic> found, const Policy& policy,
                                  const bw_image& image, int64_t now) {
  DiagnosticList diagnostics(policy.files);
  lint(policy, image, now, diagnostics);
  std::vector<Diagnostic> added = diagnostics.take();
  std::move(added.begin(), added.end(), std::back_inserter(found));
  const auto place = [&](const Diagnostic& one) {
    const auto file = std::find(policy.files.begin(), policy.files.end(), one.file);
    return std::tuple(file - policy.files.begin(), one.line, one.column);
  };
  std::stable_sort(found.begin(), found.end(),
                   [&](const auto& left, const auto& right) { return place(left) < place(right); });
  return found;
}

}  // namespace bpfwarden::policy
