#include "policy/answers/rule_text.h"

#include <array>
#include <cstdio>
#include <sstream>

#include "policy/language/attach_pattern.h"
#include "policy/language/format.h"
#include "policy/language/words.h"

namespace bpfwarden::policy {
namespace {

using std::string;
using std::string_view;

constexpr string_view kLater = "/…";  // as describe_attach_point() ends a target not yet known

string list_of(const std::vector<string>& items) {
  string list;
  for (const string& item : items) list += (list.empty() ? "" : ", ") + toml_string(item);
  return "[" + list + "]";
}

// Shorter, at the start of a character.
string cut(string text, size_t limit) {
  if (text.size() <= limit) return text;
  while (limit > 0 && (static_cast<unsigned char>(text[limit]) & 0xc0) == 0x80) limit--;
  text.resize(limit);
  return text;
}

string name_of(const RecordedLoad& load, const string& pattern) {
  if (!load.signer.empty()) return load.signer + ": " + pattern;
  const string program = load.program.empty() ? "a program" : load.program;
  return program + " " + load.digest.substr(0, kDigestHead) + ": " + pattern;
}

}  // namespace

string toml_string(string_view text) {
  string quoted = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      quoted += string("\\") + c;
    } else if (byte < 0x20 || byte == 0x7f) {
      std::array<char, sizeof("\\u0000")> escaped = {};
      (void)std::snprintf(escaped.data(), escaped.size(), "\\u%04X", unsigned{byte});
      quoted += escaped.data();
    } else {
      quoted += c;
    }
  }
  return quoted + "\"";
}

Result<string> pattern_for(string_view attach) {
  string pattern(attach);
  if (attach.ends_with(kLater)) pattern.replace(attach.size() - kLater.size(), kLater.size(), "/*");
  if (auto known = parse_attach_pattern(pattern); !known)
    return std::unexpected(std::move(known).error());
  return pattern;
}

Result<RuleText> smallest_rule(const RecordedLoad& load) {
  auto pattern = pattern_for(load.attach);
  if (!pattern) return std::unexpected(std::move(pattern).error());
  RuleText rule;
  rule.name = cut(name_of(load, *pattern), BW_RULE_NAME_SIZE - 1);
  rule.allow = {*pattern};
  rule.signature = load.signature;
  if (!load.signer.empty()) {
    rule.signed_by = {load.signer};
    return rule;
  }
  if (load.digest.empty())
    return fail("neither the key that signed the program nor its digest is known",
                "sign it with a key that the policy names");
  rule.digests = {"sha256:" + load.digest};
  return rule;
}

string toml_text(const RuleText& rule) {
  string text;
  std::istringstream lines(rule.comment);
  for (string line; std::getline(lines, line);) text += "# " + line + "\n";
  text += "[[rules]]\nname = " + toml_string(rule.name) + "\nallow = " + list_of(rule.allow) + "\n";
  if (!rule.signed_by.empty()) text += "signed-by = " + list_of(rule.signed_by) + "\n";
  // What `signed-by` implies need not be said.
  if (rule.signed_by.empty() || rule.signature == Signature::prog_used_maps)
    text += "signature = " + toml_string(spelling_of(kSignatureWords, rule.signature)) + "\n";
  if (!rule.digests.empty()) text += "digests = " + list_of(rule.digests) + "\n";
  if (!rule.exes.empty()) text += "exe = " + list_of(rule.exes) + "\n";
  if (!rule.accept.empty()) text += "accept = " + list_of(rule.accept) + "\n";
  DiagnosticList diagnostics({"rule"});
  return format_policy({"rule", text}, 0, diagnostics).value_or(text);
}

}  // namespace bpfwarden::policy
