#include "policy/language/read_conditions.h"

#include <algorithm>
#include <limits>

#include "policy/language/words.h"
#include "policy/text/date.h"

namespace bpfwarden::policy {
namespace {

using std::string;

int nibble(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

void read_uids(const Fields& fields, const Entry& entry, Rule& rule, DiagnosticList& diagnostics) {
  const Array* values = fields.integers(entry);
  if (!values) return;
  for (const Value& value : *values) {
    const auto* number = std::get_if<int64_t>(&value.data);
    if (!number) continue;
    // (uid_t)-1 is nobody's.
    if (*number < 0 || *number >= std::numeric_limits<uint32_t>::max())
      diagnostics.error(value.position, std::to_string(*number) + " is no user id",
                        "a user id is from 0 to 4294967294");
    else
      rule.uids.push_back(static_cast<uint32_t>(*number));
  }
}

// What keeps `text` from being a path that the kernel part can compare; empty if nothing does.
string path_problem(std::string_view text) {
  const std::string_view plain = text.substr(0, text.find('*'));
  if (text.find('*') < text.size() - 1) return "`*` stands only at the end";
  if (!plain.starts_with('/')) return "it must begin with `/`";
  if (plain.size() >= BW_NAME_SIZE) return "it is longer than 127 bytes; end it earlier, with `*`";
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  if (std::any_of(plain.begin(), plain.end(), is_control)) return "it has control characters";
  if (plain.size() > 1 && plain.size() == text.size() && plain.ends_with('/'))
    return "it ends with `/`";
  if (plain.find("//") != std::string_view::npos || plain.find("/../") != std::string_view::npos ||
      plain.find("/./") != std::string_view::npos)
    return "it is not in its shortest form";
  return {};
}

void read_paths(const Fields& fields, const Entry& entry, std::vector<PathPattern>& paths,
                DiagnosticList& diagnostics) {
  const Array* values = fields.strings(entry);
  if (!values) return;
  for (const Value& value : *values) {
    const auto* text = std::get_if<string>(&value.data);
    if (!text) continue;
    const string problem = path_problem(*text);
    const bool is_prefix = text->ends_with('*');
    if (!problem.empty())
      diagnostics.error(value.position, "`" + *text + "` in `" + entry.key + "`: " + problem,
                        "the kernel knows absolute paths, such as /usr/sbin/agent");
    else
      paths.push_back({text->substr(0, text->size() - (is_prefix ? 1 : 0)), is_prefix});
  }
}

void read_dates(const Fields& fields, Rule& rule, DiagnosticList& diagnostics) {
  if (const Entry* entry = fields.find("not-before")) rule.not_before = fields.date(*entry);
  const Entry* entry = fields.find("expires");
  if (!entry) return;
  rule.expires = fields.date(*entry);
  if (rule.expires && rule.not_before && *rule.expires <= *rule.not_before)
    diagnostics.error(entry->value.position, "this rule expires before it begins",
                      "`not-before` is " + date_text(*rule.not_before));
}

}  // namespace

std::optional<ProgramDigest> parse_digest(std::string_view text) {
  constexpr std::string_view mark = "sha256:";
  ProgramDigest digest;
  if (!text.starts_with(mark) || text.size() != mark.size() + 2 * digest.size())
    return std::nullopt;
  text.remove_prefix(mark.size());
  for (size_t i = 0; i < digest.size(); i++) {
    const int high = nibble(text[2 * i]), low = nibble(text[2 * i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    digest[i] = static_cast<uint8_t>(high * 16 + low);
  }
  return digest;
}

string digest_text(const ProgramDigest& digest) {
  constexpr std::string_view digits = "0123456789abcdef";
  string text = "sha256:";
  for (const uint8_t byte : digest) text.append({digits[byte >> 4], digits[byte & 15]});
  return text;
}

void read_digests(const Fields& fields, const Entry& entry, std::vector<ProgramDigest>& digests,
                  DiagnosticList& diagnostics) {
  const Array* values = fields.strings(entry);
  if (!values) return;
  for (const Value& value : *values) {
    const auto* text = std::get_if<string>(&value.data);
    if (!text) continue;
    if (const auto digest = parse_digest(*text))
      digests.push_back(*digest);
    else
      diagnostics.error(value.position, "`" + *text + "` is no digest",
                        "write sha256: and 64 small hexadecimal digits, as `bpfwarden events` "
                        "shows them");
  }
}

void read_conditions(const Fields& fields, Rule& rule, DiagnosticList& diagnostics) {
  if (const Entry* entry = fields.find("digests")) {
    read_digests(fields, *entry, rule.digests, diagnostics);
    rule.digests_at = entry->position;
  }
  if (const Entry* entry = fields.find("origin"))
    rule.origin = fields.word<Origin>(*entry, kOriginWords);
  if (const Entry* entry = fields.find("uid")) read_uids(fields, *entry, rule, diagnostics);
  if (const Entry* entry = fields.find("exe")) read_paths(fields, *entry, rule.exes, diagnostics);
  if (const Entry* entry = fields.find("cgroup"))
    read_paths(fields, *entry, rule.cgroups, diagnostics);
  if (const Entry* entry = fields.find("sleepable")) rule.sleepable = fields.boolean(*entry);
  if (const Entry* entry = fields.find("delegated")) rule.delegated = fields.boolean(*entry);
  if (const Entry* entry = fields.find("license"))
    rule.license = fields.word<License>(*entry, kLicenseWords);
  read_dates(fields, rule, diagnostics);
}

}  // namespace bpfwarden::policy
