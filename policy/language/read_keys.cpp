#include "policy/language/read_keys.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <set>
#include <tuple>

#include "policy/language/fields.h"
#include "policy/language/language.h"
#include "policy/language/words.h"
#include "policy/text/date.h"

namespace bpfwarden::policy {
namespace {

using std::string;
using std::string_view;

constexpr size_t kMaxPublicKeys = BW_MAX_SIGNERS - BW_SIGNER_FIRST_KEY;
constexpr string_view kFingerprint = "sha256:";

// What keeps the kernel part from recognizing a certificate; empty if nothing does.
string unusable(const Certificate& certificate, int64_t now) {
  if (now > certificate.not_after) return " expired on " + date_text(certificate.not_after);
  if (now < certificate.not_before)
    return " is not valid before " + date_text(certificate.not_before);
  if (certificate.public_key.empty() || certificate.kernel_algorithm.empty())
    return " has no public key that the kernel can use";
  if (certificate.public_key.size() >= BW_KEY_SIZE)
    return " has a public key longer than " + std::to_string(BW_KEY_SIZE - 1) + " bytes";
  if (certificate.kernel_algorithm.size() >= BW_ALGORITHM_SIZE)
    return " has an algorithm whose name is too long";
  return {};
}

// What reads the certificates of one setting of one key.
class CertificateSetting {
 public:
  CertificateSetting(const ReadContext& context, DiagnosticList& diagnostics)
      : context_(context), diagnostics_(diagnostics) {}

  // Of a file or folder; nothing if something is wrong with it.
  std::vector<Certificate> read(const Value& value, const string& written) const {
    if (written.empty()) return wrong(value, "the path is empty", {});
    const auto folder = std::filesystem::path(context_.files[value.position.file]).parent_path();
    auto found = context_.reader ? context_.reader(folder / written)
                                 : Result<std::vector<Certificate>>(fail("no reader is there"));
    if (!found)
      return wrong(value, "certificate `" + written + "`: " + found.error().message,
                   found.error().hint);
    if (found->empty()) return wrong(value, "`" + written + "` holds no certificate", {});
    return std::move(*found);
  }

  // As read(), and each certificate must be of use now.
  std::vector<Certificate> read_usable(const Value& value, const string& written) const {
    auto found = read(value, written);
    for (const Certificate& certificate : found) {
      const string problem = unusable(certificate, context_.now);
      if (!problem.empty())
        (void)wrong(value,
                    string("certificate `")
                        .append(written)
                        .append("` (")
                        .append(certificate.subject)
                        .append(")")
                        .append(problem),
                    {});
    }
    return found;
  }

 private:
  std::vector<Certificate> wrong(const Value& value, string message, string hint) const {
    diagnostics_.error(value.position, std::move(message), std::move(hint));
    return {};
  }

  const ReadContext& context_;
  DiagnosticList& diagnostics_;
};

void append(std::vector<Certificate>& to, std::vector<Certificate> from) {
  std::move(from.begin(), from.end(), std::back_inserter(to));
}

// One of `certificates` that no longer counts.
void revoke_fingerprint(const Value& value, const string& written, Key& key,
                        DiagnosticList& diagnostics) {
  const auto same = [&](const Certificate& one) { return fingerprint_text(one) == written; };
  const auto withdrawn = std::ranges::stable_partition(key.certificates, std::not_fn(same));
  key.withdrawn.insert(key.withdrawn.end(), withdrawn.begin(), withdrawn.end());
  if (withdrawn.empty())
    diagnostics.error(value.position,
                      "no certificate of key `" + key.name + "` has that fingerprint",
                      "`bpfwarden check` names a certificate by SHA-256 of its DER form, in small "
                      "hexadecimal digits; for one that `issuer` issued, name its file");
  key.certificates.erase(withdrawn.begin(), withdrawn.end());
}

void read_revoked(const Value& value, const CertificateSetting& setting, Key& key,
                  DiagnosticList& diagnostics) {
  const auto* written = std::get_if<string>(&value.data);
  if (!written) return;
  if (written->starts_with(kFingerprint))
    return revoke_fingerprint(value, *written, key, diagnostics);
  if (key.issuers.empty())
    return diagnostics.error(value.position, "`revoked` names a file, but the key has no `issuer`",
                             "write sha256: and the fingerprint of one of `certificates`");
  append(key.revoked, setting.read(value, *written));
}

void require_anchor(const Key& key, const Fields& fields, DiagnosticList& diagnostics) {
  const string owner = "key `" + key.name + "`";
  if (!fields.find("keyring") && !fields.find("certificates") && !fields.find("issuer"))
    diagnostics.error(key.position, owner + " has no `certificates`, `issuer` or `keyring`",
                      "add certificates = [\"…\"]");
  const bool had_some = fields.find("certificates") != nullptr;
  // It would come to stand for the whole keyring.
  if (key.keyring && had_some && key.certificates.empty() && key.issuers.empty() &&
      !diagnostics.has_errors())
    diagnostics.error(key.position, "every certificate of " + owner + " is revoked",
                      "take the key out, and out of the rules that name it");
}

void read_anchors(const Fields& fields, const ReadContext& context, Key& key,
                  DiagnosticList& diagnostics) {
  const CertificateSetting setting(context, diagnostics);
  const auto each = [&](std::string_view name, auto&& take) {
    const Entry* entry = fields.find(name);
    const Array* values = entry ? fields.strings(*entry) : nullptr;
    if (!values) return;
    for (const Value& value : *values) take(value, std::get_if<string>(&value.data));
  };
  each("certificates", [&](const Value& value, const string* written) {
    if (written) append(key.certificates, setting.read_usable(value, *written));
  });
  each("issuer", [&](const Value& value, const string* written) {
    if (written) append(key.issuers, setting.read_usable(value, *written));
  });
  each("revoked",
       [&](const Value& value, const string*) { read_revoked(value, setting, key, diagnostics); });
  if (const Entry* keyring = fields.find("keyring"))
    key.keyring = fields.word<SystemKeyring>(*keyring, kKeyringWords);
}

Key read_key(const Entry& entry, const ReadContext& context, DiagnosticList& diagnostics) {
  Key key;
  key.name = entry.key;
  key.position = entry.position;
  if (entry.key.empty() || entry.key.size() >= BW_POLICY_NAME_SIZE)
    diagnostics.error(entry.position, "a key's name has 1 to " +
                                          std::to_string(BW_POLICY_NAME_SIZE - 1) + " bytes");
  const auto* table = std::get_if<Table>(&entry.value.data);
  if (!table) {
    diagnostics.error(entry.value.position,
                      "a key must be a table, not " + string(entry.value.kind()),
                      "write [keys." + entry.key + "] on a line of its own");
    return key;
  }
  const Fields fields(*table, entry.position, "key `" + entry.key + "`", names_of(TableKind::key),
                      diagnostics);
  key.description = read_description(fields);
  key.settings = fields.places();
  read_anchors(fields, context, key, diagnostics);
  require_anchor(key, fields, diagnostics);
  return key;
}

}  // namespace

std::vector<KeyReference> read_key_references(const Fields& fields, const Entry& entry,
                                              const std::vector<Key>& keys, string_view in,
                                              DiagnosticList& diagnostics) {
  std::vector<KeyReference> references;
  const Array* names = fields.strings(entry);
  if (!names) return references;
  std::vector<string_view> candidates;
  for (const Key& key : keys) candidates.push_back(key.name);
  std::set<string_view> seen;
  for (const Value& value : *names) {
    const auto* name = std::get_if<string>(&value.data);
    if (!name) continue;
    if (!seen.insert(*name).second)
      diagnostics.warning("duplicate", value.position,
                          "key `" + *name + "` stands twice in " + string(in), "write it once");
    const auto found = std::ranges::find(candidates, *name);
    if (found != candidates.end()) {
      references.push_back(
          {*name, static_cast<size_t>(found - candidates.begin()), value.position});
      continue;
    }
    string hint = did_you_mean(*name, candidates);
    if (hint.empty()) hint = "a key begins with [keys." + *name + "]";
    diagnostics.error(value.position, "there is no key `" + *name + "`", hint);
  }
  return references;
}

size_t count_public_keys(const std::vector<KeyReference>& references,
                         const std::vector<Key>& keys) {
  std::set<std::vector<uint8_t>> revoked, found;
  for (const Key& key : keys)
    for (const Certificate& certificate : key.revoked) revoked.insert(certificate.public_key);
  const auto add = [&](const Certificate& certificate) {
    if (!revoked.contains(certificate.public_key)) found.insert(certificate.public_key);
  };
  for (const KeyReference& reference : references) {
    std::ranges::for_each(keys[reference.key].certificates, add);
    for (const Certificate& issuer : keys[reference.key].issuers)
      if (issuer.is_ca) add(issuer);
  }
  return found.size();
}

size_t count_signers(const std::vector<Key>& keys) {
  std::set<std::tuple<string, std::vector<uint8_t>, int, int>> found;
  for (const Key& key : keys) {
    const int keyring = key.keyring ? static_cast<int>(*key.keyring) : 0;
    for (const Certificate& info : key.certificates)
      found.emplace(info.kernel_algorithm, info.public_key, BW_SIGNER_KEY, keyring);
    for (const Certificate& info : key.issuers)
      found.emplace(info.kernel_algorithm, info.public_key, BW_SIGNER_ISSUER, keyring);
    for (const Certificate& info : key.revoked)
      found.emplace(info.kernel_algorithm, info.public_key, BW_SIGNER_REVOKED, 0);
  }
  return found.size();
}

void check_signers(const std::vector<Key>& keys, DiagnosticList& diagnostics) {
  const size_t count = count_signers(keys);
  if (count > kMaxPublicKeys)
    diagnostics.error(keys.back().position, "the policy has " + std::to_string(count) +
                                                " different public keys; " +
                                                std::to_string(kMaxPublicKeys) + " fit");
}

std::vector<Key> read_keys(const Entry& entry, const ReadContext& context,
                           DiagnosticList& diagnostics) {
  std::vector<Key> keys;
  const auto* table = std::get_if<Table>(&entry.value.data);
  if (!table) {
    diagnostics.error(entry.value.position,
                      "`keys` must be a table, not " + string(entry.value.kind()),
                      "a key begins with [keys.its-name]");
    return keys;
  }
  for (const Entry& key : *table) keys.push_back(read_key(key, context, diagnostics));
  return keys;
}

}  // namespace bpfwarden::policy
