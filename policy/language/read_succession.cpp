#include "policy/language/read_succession.h"

#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "policy/language/read_keys.h"

namespace bpfwarden::policy {
namespace {

using std::string;

// Whoever has any key in the keyring could sign, and root adds keys to some.
void refuse_whole_keyrings(const Policy& policy, DiagnosticList& diagnostics) {
  for (const KeyReference& reference : policy.policy_signers.keys)
    if (is_whole_keyring(policy.keys[reference.key]))
      diagnostics.error(reference.position,
                        "key `" + reference.name + "` is a whole keyring, which signs no policy",
                        "name the certificates that you mean: certificates = [\"…\"] beside "
                        "`keyring`, or another key");
}

void read_needed(const Fields& fields, const Entry& entry, Policy& policy,
                 DiagnosticList& diagnostics) {
  const auto needed = fields.integer(entry);
  if (!fields.find("policy-signed-by"))
    return diagnostics.error(entry.position,
                             "`policy-signatures-needed` is there, but no `policy-signed-by`",
                             "add policy-signed-by = [\"a-key\"], or take it out");
  if (!needed) return;
  if (*needed < 1 || *needed > kMostPolicySignatures)
    return diagnostics.error(
        entry.value.position,
        "`policy-signatures-needed` is from 1 to " + std::to_string(kMostPolicySignatures),
        "write policy-signatures-needed = 2 for two different people");
  policy.policy_signers.needed = static_cast<uint32_t>(*needed);
}

string signatures_text(uint32_t count) {
  return std::to_string(count) + (count == 1 ? " signature is" : " signatures are");
}

// A policy that nobody could replace any more. What else is wrong with the keys comes first.
void require_enough_keys(const Fields& fields, const Policy& policy, DiagnosticList& diagnostics) {
  const size_t count = count_public_keys(policy.policy_signers.keys, policy.keys);
  if (diagnostics.has_errors() || count >= policy.policy_signers.needed) return;
  const Entry* entry = fields.find("policy-signatures-needed");
  if (!entry) entry = fields.find("policy-signed-by");
  diagnostics.error(
      entry->value.position,
      signatures_text(policy.policy_signers.needed) +
          " needed, and `policy-signed-by` stands for " +
          (count == 0 ? string("no public key that counts")
                      : std::to_string(count) + " public key" + (count == 1 ? "" : "s")),
      count == 0 ? "what is revoked does not count, nor an issuer that is no CA: name another key"
                 : "name another key in it, or ask for fewer signatures");
}

// Signatures are counted by slots: one key, as itself and as an issuer, or in two keyrings, would
// have two.
void refuse_keys_of_two_kinds(const Policy& policy, DiagnosticList& diagnostics) {
  using Kind = std::tuple<bool, std::optional<SystemKeyring>>;
  std::map<std::vector<uint8_t>, Kind> seen;
  const auto add = [&](const KeyReference& reference, const Certificate& certificate,
                       bool is_issuer) {
    const Kind kind = {is_issuer, policy.keys[reference.key].keyring};
    const auto [known, is_new] = seen.emplace(certificate.public_key, kind);
    if (is_new || known->second == kind) return;
    diagnostics.error(reference.position,
                      "the public key of " + certificate.subject +
                          " may sign in two ways, and could be two of the signatures needed",
                      "name it once: in `certificates` or in `issuer`, and in one keyring");
  };
  for (const KeyReference& reference : policy.policy_signers.keys) {
    for (const Certificate& one : policy.keys[reference.key].certificates)
      add(reference, one, false);
    for (const Certificate& one : policy.keys[reference.key].issuers)
      if (one.is_ca) add(reference, one, true);
  }
}

}  // namespace

void read_succession(const Fields& fields, Policy& policy, DiagnosticList& diagnostics) {
  if (const Entry* entry = fields.find("seal")) policy.seal = fields.boolean(*entry) == true;
  const Entry* signed_by = fields.find("policy-signed-by");
  if (signed_by)
    policy.policy_signers.keys =
        read_key_references(fields, *signed_by, policy.keys, "`policy-signed-by`", diagnostics);
  refuse_whole_keyrings(policy, diagnostics);
  if (const Entry* needed = fields.find("policy-signatures-needed"))
    read_needed(fields, *needed, policy, diagnostics);
  if (signed_by) require_enough_keys(fields, policy, diagnostics);
  if (policy.policy_signers.needed > 1) refuse_keys_of_two_kinds(policy, diagnostics);
}

}  // namespace bpfwarden::policy
