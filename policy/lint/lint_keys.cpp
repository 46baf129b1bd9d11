#include <algorithm>

#include "policy/lint/lint_parts.h"
#include "policy/text/date.h"

namespace bpfwarden::policy {
namespace {

using std::string;

constexpr int64_t kDay = 86'400;
constexpr int64_t kSoon = 60 * kDay;

// NIST SP 800-57 Part 1 Rev. 5, table 2: 112 bits of strength, the least it admits, take 2,048 bits
// of RSA, or a curve of 224; the smallest curve of the kernel that reaches it is P-256.
constexpr unsigned kLeastRsa = 2048;
constexpr unsigned kLeastCurve = 256;

string described(const Certificate& certificate) {
  return "certificate `" + certificate.path + "` (" + certificate.subject + ")";
}

// What looks at the certificates of one setting of one key.
class CertificateLint {
 public:
  CertificateLint(SourceRange where, int64_t now, DiagnosticList& diagnostics)
      : where_(where), now_(now), diagnostics_(diagnostics) {}

  void check_date(const Certificate& certificate) const {
    const int64_t left = certificate.not_after - now_;
    if (left > kSoon) return;
    diagnostics_.warning("certificate-expires", where_,
                         described(certificate) + " expires on " +
                             date_text(certificate.not_after) + ", in " +
                             std::to_string(std::max<int64_t>(left, 0) / kDay) + " days",
                         "name its successor beside it now: once it has expired, this policy is "
                         "an error and cannot be applied again");
  }

  void check_strength(const Certificate& certificate) const {
    const bool is_rsa = certificate.kernel_algorithm.starts_with("rsa");
    const bool is_curve = certificate.kernel_algorithm.starts_with("ec");
    const unsigned least = is_rsa ? kLeastRsa : is_curve ? kLeastCurve : 0;
    if (certificate.bits == 0 || certificate.bits >= least) return;
    diagnostics_.warning(
        "weak-key", where_,
        described(certificate) + " has a weak key: " + certificate.kernel_algorithm + " of " +
            std::to_string(certificate.bits) + " bits",
        "NIST SP 800-57 asks for 112 bits of strength: sign with RSA of at least 2,048 bits, or "
        "with P-256 or P-384");
  }

  void check_signer(const Certificate& certificate) const {
    if (!certificate.is_ca) return;
    diagnostics_.warning(
        "ca-as-signer", where_,
        described(certificate) +
            " is that of a CA: in `certificates` it stands only for programs that "
            "the CA's own key signed",
        "move it to `issuer` to trust the keys that it issued certificates for, "
        "or name the certificate that signs; a self-signed one is made without the CA "
        "bit by `openssl req -x509 -addext basicConstraints=critical,CA:FALSE`");
  }

  void check_issuer(const Certificate& certificate) const {
    if (certificate.is_ca) return;
    diagnostics_.warning("issuer-not-ca", where_,
                         described(certificate) +
                             " is not that of a CA, and so cannot have issued another: the key "
                             "matches nothing by it",
                         "move it to `certificates` to trust what its key signs");
  }

 private:
  SourceRange where_;
  int64_t now_;
  DiagnosticList& diagnostics_;
};

void lint_certificates(const Key& key, int64_t now, DiagnosticList& diagnostics) {
  const CertificateLint signers(place_of(key.settings, "certificates", key.position), now,
                                diagnostics);
  const CertificateLint issuers(place_of(key.settings, "issuer", key.position), now, diagnostics);
  for (const Certificate& certificate : key.certificates) {
    signers.check_date(certificate);
    signers.check_strength(certificate);
    signers.check_signer(certificate);
  }
  for (const Certificate& certificate : key.issuers) {
    issuers.check_date(certificate);
    issuers.check_strength(certificate);
    issuers.check_issuer(certificate);
  }
}

// A deny rule about a whole keyring only denies more; `.bpf` is for who signs programs, and is
// filled by who builds the initramfs.
const Rule* first_admitting(const Policy& policy, size_t key) {
  for (const Rule& rule : policy.rules)
    for (const KeyReference& reference : rule.signed_by)
      if (reference.key == key && rule.action != Action::deny) return &rule;
  return nullptr;
}

void lint_whole_keyring(const Policy& policy, size_t index, DiagnosticList& diagnostics) {
  const Key& key = policy.keys[index];
  if (!key.keyring || *key.keyring == SystemKeyring::bpf || !key.certificates.empty() ||
      !key.issuers.empty())
    return;
  const Rule* rule = first_admitting(policy, index);
  if (!rule) return;
  diagnostics.warning("whole-keyring", place_of(key.settings, "keyring", key.position),
                      "key `" + key.name +
                          "` is a whole keyring: whoever has any key in it is trusted, first by "
                          "rule `" +
                          rule->name + "`",
                      "name the certificates that you mean as well: certificates = [\"…\"] beside "
                      "`keyring`");
}

// The first key whose `revoked` names the public key of that certificate: it counts nowhere then.
const Key* revoker_of(const Policy& policy, const Certificate& certificate) {
  const auto revokes = [&](const Key& key) {
    return std::ranges::any_of(key.revoked, [&](const Certificate& revoked) {
      return revoked.public_key == certificate.public_key;
    });
  };
  const auto found = std::ranges::find_if(policy.keys, revokes);
  return found == policy.keys.end() ? nullptr : &*found;
}

// Who revokes all of the key's certificates and issuers, each once; empty if one is left.
std::vector<const Key*> revokers_of(const Policy& policy, const Key& key) {
  std::vector<const Key*> found;
  for (const auto* certificates : {&key.certificates, &key.issuers})
    for (const Certificate& certificate : *certificates) {
      const Key* revoker = revoker_of(policy, certificate);
      if (revoker == nullptr) return {};
      if (std::ranges::find(found, revoker) == found.end()) found.push_back(revoker);
    }
  return found;
}

void lint_revoked(const Policy& policy, const Key& key, DiagnosticList& diagnostics) {
  if (is_whole_keyring(key)) return;
  const bool has_none = key.certificates.empty() && key.issuers.empty();
  const auto revokers = revokers_of(policy, key);
  if (!has_none && revokers.empty()) return;
  string by;
  for (const Key* revoker : revokers)
    by += (by.empty() ? ", by `revoked` of key `" : ", `") + revoker->name + "`";
  diagnostics.warning(
      "revoked-key", key.position,
      "every certificate of key `" + key.name + "` is revoked" + by + ": nothing is signed by it",
      has_none ? "name its successor in `certificates`, or take the key out, and out of the "
                 "rules that name it"
               : "a revoked key counts nowhere: name its successor here, or take it out of "
                 "`revoked` there");
}

void lint_unused(const Policy& policy, size_t index, DiagnosticList& diagnostics) {
  const auto is_it = [&](const KeyReference& reference) { return reference.key == index; };
  const auto names_it = [&](const Rule& rule) {
    return std::ranges::any_of(rule.signed_by, is_it);
  };
  const Key& key = policy.keys[index];
  // What it revokes counts nowhere: without it, another key might come back.
  if (!key.revoked.empty() || std::ranges::any_of(policy.rules, names_it) ||
      std::ranges::any_of(policy.policy_signers.keys, is_it))
    return;
  diagnostics.warning("unused-key", key.position,
                      "no rule's `signed-by` names key `" + key.name + "`",
                      "name it in a rule, or take it out");
}

}  // namespace

void lint_keys(const Policy& policy, int64_t now, DiagnosticList& diagnostics) {
  for (size_t i = 0; i < policy.keys.size(); i++) {
    lint_unused(policy, i, diagnostics);
    lint_revoked(policy, policy.keys[i], diagnostics);
    lint_certificates(policy.keys[i], now, diagnostics);
    lint_whole_keyring(policy, i, diagnostics);
  }
}

}  // namespace bpfwarden::policy
