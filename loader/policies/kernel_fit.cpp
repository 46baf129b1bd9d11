#include "loader/policies/kernel_fit.h"

#include <algorithm>
#include <string>
#include <utility>

#include "policy/lint/lint.h"

namespace bpfwarden::loader {
namespace {

using policy::KernelWeakness;
using policy::Rule;
using policy::Signature;
using policy::SourceRange;
using std::string;

bool accepts(const policy::Policy& policy, KernelWeakness weakness) {
  return std::ranges::find(policy.accept_kernel, weakness) != policy.accept_kernel.end();
}

// It asks for more than is told of any program here, and for something that is.
bool asks_too_much(const Rule& rule, const KernelAbilities& kernel) {
  return rule.signature > kernel.most && kernel.most == Signature::prog_only;
}

// What is said of one policy and one kernel.
class Findings {
 public:
  Findings(const CompiledPolicy& compiled, const KernelAbilities& kernel, Occasion occasion)
      : policy_(compiled.policy),
        kernel_(kernel),
        refuses_(occasion != Occasion::boot && !is_on_trial(*compiled.image)),
        found_(compiled.policy.files) {}

  std::vector<policy::Diagnostic> take() {
    for (const Rule& rule : policy_.rules) look_at(rule);
    if (!policy_.deny_digests.empty() && !kernel_.digests)
      tell(place_of(policy_.settings, "deny-digests", {}), accepts_digests(),
           "`deny-digests` denies nothing here: this kernel keeps no digest of a program",
           "use Linux 6.18 or later; or accept that: accept-kernel = [\"no-digests\"]");
    if (kernel_.verifier != Verifier::nobody)
      for (const policy::Key& key : policy_.keys) look_at_key(key);
    auto found = found_.take();
    for (policy::Diagnostic& one : found) one.code = kWeakerKernel;
    return found;
  }

 private:
  [[nodiscard]] bool accepts_digests() const {
    return accepts(policy_, KernelWeakness::no_digests);
  }

  void look_at(const Rule& rule) {
    if (kernel_.verifier == Verifier::nobody && rule.signature != Signature::unsigned_)
      // No error: `apply` refuses each policy on such a kernel.
      found_.warning(kWeakerKernel, place_of(rule.settings, "signature", rule.position),
                     "rule `" + rule.name +
                         "` matches nothing here: nobody verifies signatures on this kernel",
                     "use Linux 6.12 or later, with CONFIG_SYSTEM_DATA_VERIFICATION");
    if (asks_too_much(rule, kernel_)) look_at_signature(rule);
    if (!rule.digests.empty() && !kernel_.digests)
      tell(place_of(rule.settings, "digests", rule.position), accepts_digests(),
           "rule `" + rule.name +
               "` matches nothing here: it names digests, and this kernel keeps none of a program",
           "use Linux 6.18 or later; or accept that: accept-kernel = [\"no-digests\"]");
  }

  void look_at_signature(const Rule& rule) {
    tell(place_of(rule.settings, "signature", rule.position), false,
         "rule `" + rule.name +
             "` matches nothing here: it asks for prog-used-maps, and signatures cover "
             "instructions alone on this kernel",
         "use Linux 7.3 or later, or one with CONFIG_SYSTEM_DATA_VERIFICATION, where bpfwarden "
         "verifies maps");
  }

  // Of a signature that is verified in the kernel's other keyrings nothing is lost.
  void look_at_key(const policy::Key& key) {
    const string what = "nothing is ever signed by `" + key.name + "` here: ";
    if (!key.keyring && !kernel_.own_keyring)
      tell(key.position, false, what + kBpfKeyringAlone, kBpfKeyringHint);
    if (key.keyring != policy::SystemKeyring::bpf || kernel_.verifies_in_bpf_keyring()) return;
    tell(place_of(key.settings, "keyring", key.position), false,
         what + (kernel_.bpf_keyring ? kBpfKeyringClosed : kNoBpfKeyring),
         kernel_.bpf_keyring ? kBpfKeyringClosedHint : kNoBpfKeyringHint);
  }

  void tell(SourceRange place, bool is_accepted, string message, string hint) {
    if (refuses_ && !is_accepted) return found_.error(place, std::move(message), std::move(hint));
    found_.warning(kWeakerKernel, place, std::move(message), std::move(hint));
  }

  const policy::Policy& policy_;
  const KernelAbilities& kernel_;
  bool refuses_;
  policy::DiagnosticList found_;
};

}  // namespace

std::vector<policy::Diagnostic> held_against(const CompiledPolicy& compiled,
                                             const KernelAbilities& kernel, Occasion occasion) {
  auto found = Findings(compiled, kernel, occasion).take();
  policy::drop_accepted(found, compiled.policy);
  return found;
}

string place_and_message(const policy::Diagnostic& found) {
  return found.file + ":" + std::to_string(found.line) + ": " + found.message;
}

Status require_held(const std::vector<policy::Diagnostic>& found) {
  const auto first =
      std::ranges::find(found, policy::Severity::error, &policy::Diagnostic::severity);
  if (first == found.end()) return {};
  return fail("this kernel cannot hold what the policy says in " + first->file + ":" +
                  std::to_string(first->line) + "; nothing was changed",
              "`bpfwarden doctor` says what this kernel can");
}

}  // namespace bpfwarden::loader
