#include "policy/answers/suggest_text.h"

#include <algorithm>
#include <set>

#include "policy/language/format.h"
#include "policy/language/read_conditions.h"
#include "policy/language/words.h"
#include "policy/text/date.h"

namespace bpfwarden::policy {
namespace {

using std::string;

string formatted(string text) {
  DiagnosticList diagnostics({"suggestion"});
  const SourceFile source{"suggestion", std::move(text)};
  return format_policy(source, 0, diagnostics).value_or(source.text);
}

string deny_digests_text(const std::vector<ProgramDigest>& digests) {
  if (digests.empty()) return {};
  string text = "deny-digests = [";
  for (const ProgramDigest& digest : digests) text += "\"" + digest_text(digest) + "\", ";
  return text + "]\n";
}

string header_text(const SuggestHeader& header) {
  return "# Suggested by bpfwarden: the smallest policy that admits what was seen.\n# " +
         printable(header.sources) +
         "\n# Read each rule: it admits what ran, not what should have run.\n\nschema = 1\n"
         "name = " +
         toml_string(header.name) + "\nversion = " + std::to_string(header.version) +
         "\nmode = " + toml_string(spelling_of(kModeWords, header.mode)) +
         "\ndefault = \"deny\"\n" + deny_digests_text(header.deny_digests) + "\n";
}

string seen_text(const SeenLoad& seen) {
  string text = seen.load.attach.empty() ? "a signed program" : seen.load.attach;
  if (!seen.load.program.empty()) text += " " + seen.load.program;
  if (!seen.by.empty()) text += " by " + seen.by;
  if (seen.count > 1) text += ", " + std::to_string(seen.count) + " times";
  if (seen.last != 0) text += ", last " + date_text(seen.last);
  if (seen.runs_now) text += ", runs now";
  return text;
}

bool lacks_key(const NotAdmitted& one) { return one.load.is_signed && one.load.fate == Fate::ran; }

string left_text(const Suggestion& suggestion) {
  if (suggestion.left.empty()) return {};
  std::set<string> lines;
  for (const NotAdmitted& one : suggestion.left)
    lines.insert(printable("   " + seen_text(one.load) + ": " + one.why));
  string text = "# Not admitted, although seen:\n";
  for (const string& line : lines) text += "#" + line + "\n";
  if (std::ranges::any_of(suggestion.left, lacks_key))
    text +=
        "# To admit programs that an unknown key has signed: add [keys.NAME] with certificates = "
        "[\"…\"] "
        "to\n"
        "# the policy that decides, apply it in audit mode, and run `bpfwarden suggest` again.\n";
  return text;
}

string test_text(const string& name, const SeenLoad& seen, const string& rule,
                 const string& expected) {
  const RecordedLoad& load = seen.load;
  string text = "\n[[tests]]\nname = " + toml_string(printable(name)) +
                "\nattach = " + toml_string(load.attach) + "\n";
  if (!load.signer.empty())
    text += "key = " + toml_string(load.signer) +
            "\nsignature = " + toml_string(spelling_of(kSignatureWords, load.signature)) + "\n";
  if (!load.digest.empty()) text += "digest = \"sha256:" + load.digest + "\"\n";
  if (seen.by.starts_with('/') && seen.by.size() < BW_NAME_SIZE)
    text += "exe = " + toml_string(seen.by) + "\n";
  if (seen.origin == Origin::loader) text += "origin = \"loader\"\n";
  text += "expect = " + toml_string(expected) + "\n";
  if (!rule.empty()) text += "rule = " + toml_string(rule) + "\n";
  return text;
}

string stranger_text(const string& attach) {
  return "\n[[tests]]\nname = " + toml_string("no stranger at " + printable(attach)) +
         "\nattach = " + toml_string(attach) + "\ndigest = \"sha256:" + string(64, '0') +
         "\"\nexpect = \"deny\"\nrule = \"default\"\n";
}

string test_name(const SeenLoad& seen) {
  constexpr size_t longest = 160;
  const RecordedLoad& load = seen.load;
  string name =
      load.attach + ", " +
      (load.signer.empty() ? "unsigned " + load.digest.substr(0, 12) : "signed by " + load.signer) +
      ": " + (load.program.empty() ? "a program without a name" : load.program);
  if (name.size() > longest) name.resize(longest);
  return name;
}

}  // namespace

string key_header(const string& name) {
  const bool is_bare = !name.empty() && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
  });
  return "[keys." + (is_bare ? name : toml_string(name)) + "]";
}

string not_admitted_text(const Suggestion& suggestion) { return left_text(suggestion); }

string suggested_text(const Suggestion& suggestion, const SuggestHeader& header) {
  string text = header_text(header) + header.keys;
  for (const SuggestedRule& rule : suggestion.rules) text += "\n" + toml_text(rule.text);
  const string left = left_text(suggestion);
  return formatted(text) + (left.empty() ? "" : "\n" + left);
}

string suggested_tests(const Suggestion& suggestion, const string& policy,
                       const SuggestedAnswers& answers) {
  std::set<string> tests, strangers;
  const auto add = [&](const SeenLoad& seen, const string& rule) {
    const auto expected = rule.empty() ? answers.expected(seen) : Expectation::allow;
    if (!expected) return;
    tests.insert(test_text(test_name(seen), seen, rule,
                           *expected == Expectation::load_only ? "load-only" : "allow"));
    if (answers.refuses(seen.load.attach)) strangers.insert(stranger_text(seen.load.attach));
  };
  for (const SuggestedRule& rule : suggestion.rules)
    for (const SeenLoad& seen : rule.loads) add(seen, rule.text.name);
  for (const SeenLoad& seen : suggestion.others) add(seen, "");
  string text = "policy = " + toml_string(policy) + "\n";
  for (const string& test : tests) text += test;
  for (const string& test : strangers) text += test;
  return formatted(text);
}

}  // namespace bpfwarden::policy
