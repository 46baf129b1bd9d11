#include "policy/language/warnings.h"

#include <algorithm>
#include <array>

namespace bpfwarden::policy {
namespace {

constexpr auto kCodes = std::to_array<LintCode>({
    {"accepts-nothing", "a warning is accepted that the policy does not draw"},
    {"ambiguous-at-load", "a load does not tell all attach points apart that the rule does"},
    {"ambiguous-function", "an allow rule names a function that the kernel has several of", true},
    {"audit-hole", "a rule in audit mode lets through what no rule matches"},
    {"ca-as-signer", "a CA certificate is trusted to sign programs itself"},
    {"certificate-expires", "a certificate expires within 60 days"},
    {"default-allow", "what no rule names is allowed"},
    {"duplicate", "the same word stands twice in a list"},
    {"exempt-by-subject", "a rule admits programs for who loads them, not for who signed them"},
    {"issuer-not-ca", "the certificate of an issuer is not that of a CA"},
    {"no-probe-rule", "the feature probes of libbpf and bpftool are refused, or would be"},
    {"no-rules", "the policy has no rules"},
    {"no-such-target", "what a rule names is not there, in the BTF or on the host at hand", true},
    {"not-a-wildcard", "only a `*` at the end is a wildcard, and no `[` or `?`"},
    {"not-looked-up", "a compiled policy names what only a host could look up", true},
    {"offset-at-attach", "the kernel knows a probe in a file by its offset alone"},
    {"refuses-bpfwarden", "a rule refuses bpfwarden's own programs"},
    {"revoked-key", "every certificate of a key is revoked"},
    {"rule-expired", "a rule is past its date"},
    {"rule-not-yet", "a rule begins more than a year from now"},
    {"seal-in-audit", "a policy that refuses nothing is sealed"},
    {"seal-until-reboot", "a policy is sealed that nobody may sign a successor of"},
    {"shadowed-rule", "earlier rules decide about all that the rule names"},
    {"threads-cannot-attach",
     "something is decided at attach, so programs with threads can attach nothing"},
    {"unsigned-powerful", "anybody's unsigned programs are allowed where they are powerful"},
    {"unused-key", "no rule names the key"},
    {"weak-key", "a key is shorter than NIST SP 800-57 asks for"},
    {"weaker-kernel", "the kernel at hand cannot hold what the policy says", true},
    {"whole-keyring", "every key in a keyring of the kernel is trusted"},
});

std::vector<std::string_view> codes() {
  std::vector<std::string_view> all;
  for (const LintCode& code : kCodes) all.push_back(code.code);
  return all;
}

}  // namespace

std::span<const LintCode> lint_codes() { return kCodes; }

std::vector<AcceptedWarning> read_accept(const Fields& fields, DiagnosticList& diagnostics) {
  std::vector<AcceptedWarning> accepted;
  const Entry* entry = fields.find("accept");
  const Array* texts = entry ? fields.strings(*entry) : nullptr;
  if (!texts) return accepted;
  const std::vector<std::string_view> known = codes();
  for (const Value& value : *texts) {
    const auto* text = std::get_if<std::string>(&value.data);
    if (!text) continue;
    const std::string code = text->substr(0, text->find(':'));
    if (std::ranges::find(known, code) == known.end())
      diagnostics.error(value.position, "there is no warning `" + code + "`",
                        did_you_mean(code, known));
    accepted.push_back({code, value.position});
  }
  return accepted;
}

}  // namespace bpfwarden::policy
