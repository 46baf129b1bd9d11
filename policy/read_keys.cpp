#include "policy/read_keys.h"

#include <algorithm>
#include <array>
#include <set>

#include "policy/fields.h"

namespace bpfwarden::policy {
namespace {

using std::string;
using std::string_view;

constexpr auto kKeyNames = std::to_array<string_view>({"keyring", "certificates"});
constexpr auto kKeyrings = std::to_array<std::pair<string_view, SystemKeyring>>({
    {"builtin", SystemKeyring::builtin},
    {"secondary", SystemKeyring::secondary},
    {"platform", SystemKeyring::platform},
});
constexpr size_t kMaxPublicKeys = BW_MAX_SIGNERS - BW_SIGNER_FIRST_KEY;

// YYYY-MM-DD in UTC, by the civil calendar (Howard Hinnant, chrono-compatible date algorithms).
string date_text(int64_t seconds) {
  const int64_t day = (seconds >= 0 ? seconds : seconds - 86399) / 86400 + 719468;
  const int64_t era = (day >= 0 ? day : day - 146096) / 146097;
  const int64_t of_era = day - era * 146097;
  const int64_t year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
  const int64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const int64_t shifted_month = (5 * of_year + 2) / 153;
  const int64_t month = shifted_month < 10 ? shifted_month + 3 : shifted_month - 9;
  const auto two = [](int64_t number) { return (number < 10 ? "0" : "") + std::to_string(number); };
  return std::to_string(year_of_era + era * 400 + (month <= 2)) + "-" + two(month) + "-" +
         two(of_year - (153 * shifted_month + 2) / 5 + 1);
}

// What keeps the kernel part from recognizing a certificate; empty if nothing does.
string unusable(const CertificateInfo& certificate, int64_t now) {
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

void read_certificate(const Value& value, const ReadContext& context, Key& key,
                      DiagnosticList& diagnostics) {
  const auto* written = std::get_if<string>(&value.data);
  if (!written) return;
  if (written->empty()) return diagnostics.error(value.position, "the path is empty");
  const auto path = std::filesystem::path(context.file).parent_path() / *written;
  auto read = context.reader ? context.reader(path)
                             : Result<std::vector<CertificateInfo>>(fail("no reader was given"));
  if (!read)
    return diagnostics.error(value.position,
                             "certificate `" + *written + "`: " + read.error().message,
                             read.error().hint);
  if (read->empty())
    return diagnostics.error(value.position, "`" + *written + "` holds no certificate");
  for (CertificateInfo& certificate : *read) {
    const string problem = unusable(certificate, context.now);
    if (!problem.empty())
      diagnostics.error(value.position,
                        "certificate `" + *written + "` (" + certificate.subject + ")" + problem);
    key.certificates.push_back(std::move(certificate));
  }
}

void read_keyring(const Fields& fields, const Entry& entry, Key& key, DiagnosticList& diagnostics) {
  const auto* text = std::get_if<string>(&entry.value.data);
  if (text && *text == "bpf") {
    diagnostics.error(entry.value.position, "keyring `bpf` is not supported by this version",
                      "this version knows `builtin`, `secondary` and `platform`");
    return;
  }
  key.keyring = fields.word<SystemKeyring>(entry, kKeyrings);
}

Key read_key(const Entry& entry, const ReadContext& context, DiagnosticList& diagnostics) {
  Key key{entry.key, std::nullopt, {}, entry.position};
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
  const string owner = "key `" + entry.key + "`";
  const Fields fields(*table, entry.position, owner, {kKeyNames, {}}, diagnostics);
  const Entry* keyring = fields.find("keyring");
  const Entry* certificates = fields.find("certificates");
  if (!keyring == !certificates)
    diagnostics.error(entry.position,
                      owner + (keyring ? " has both `keyring` and `certificates`"
                                       : " has neither `keyring` nor `certificates`"),
                      keyring ? "give each a key of its own: a rule's `signed-by` may name both"
                              : "add certificates = [\"…\"] or keyring = \"builtin\"");
  if (keyring) read_keyring(fields, *keyring, key, diagnostics);
  if (!certificates) return key;
  if (const Array* paths = fields.strings(*certificates))
    for (const Value& path : *paths) read_certificate(path, context, key, diagnostics);
  return key;
}

}  // namespace

size_t count_public_keys(const std::vector<Key>& keys) {
  std::set<std::pair<string, std::vector<uint8_t>>> found;
  for (const Key& key : keys)
    for (const CertificateInfo& certificate : key.certificates)
      found.emplace(certificate.kernel_algorithm, certificate.public_key);
  return found.size();
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
  if (const size_t count = count_public_keys(keys); count > kMaxPublicKeys)
    diagnostics.error(entry.position, "the policy has " + std::to_string(count) +
                                          " different public keys; " +
                                          std::to_string(kMaxPublicKeys) + " fit");
  return keys;
}

}  // namespace bpfwarden::policy
