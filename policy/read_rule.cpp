#include "policy/read_rule.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "policy/coverage.h"
#include "policy/fields.h"
#include "policy/words.h"

namespace bpfwarden::policy {
namespace {

using std::string;
using std::string_view;

constexpr auto kRuleNames =
    std::to_array<string_view>({"name", "allow", "deny", "signed-by", "signature", "mode"});
constexpr auto kLaterNames = std::to_array<string_view>(
    {"load-only", "digests", "expires", "origin", "uid", "exe", "cgroup"});
constexpr auto kSignatures = std::to_array<std::pair<string_view, Signature>>({
    {"unsigned", Signature::unsigned_},
    {"prog-only", Signature::prog_only},
    {"prog-used-maps", Signature::prog_used_maps},
});

void read_name(const Fields& fields, Rule& rule) {
  const Entry* entry = fields.require("name", "events and reports call the rule by it");
  if (!entry) return;
  if (const string* name = fields.label(*entry, BW_RULE_NAME_SIZE - 1)) rule.name = *name;
}

void read_attach(const Fields& fields, const Entry& entry, Rule& rule,
                 DiagnosticList& diagnostics) {
  const Array* patterns = fields.strings(entry);
  if (!patterns) return;
  std::set<string_view> seen;
  for (const Value& value : *patterns) {
    const auto* text = std::get_if<string>(&value.data);
    if (!text) continue;
    if (!seen.insert(*text).second)
      diagnostics.warning(value.position, "`" + *text + "` stands twice in this rule");
    auto pattern = parse_attach_pattern(*text);
    if (pattern)
      rule.attach.push_back({std::move(*pattern), value.position});
    else
      diagnostics.error(value.position, pattern.error().message, pattern.error().hint);
  }
}

void read_action(const Fields& fields, Rule& rule, DiagnosticList& diagnostics) {
  const Entry* allow = fields.find("allow");
  const Entry* deny = fields.find("deny");
  rule.action = allow ? Action::allow : Action::deny;
  if (allow && deny)
    diagnostics.error(std::max(allow->position, deny->position,
                               [](SourceRange a, SourceRange b) { return a.line < b.line; }),
                      "a rule has either `allow` or `deny`, not both", "make it two rules");
  if (!allow && !deny && !fields.has_later())
    diagnostics.error(rule.position, "this rule has neither `allow` nor `deny`",
                      "add allow = [\"…\"] or deny = [\"…\"] with attach points");
  for (const Entry* entry : {allow, deny})
    if (entry) read_attach(fields, *entry, rule, diagnostics);
}

void read_signers(const Fields& fields, const Entry& entry, const std::vector<Key>& keys,
                  Rule& rule, DiagnosticList& diagnostics) {
  const Array* names = fields.strings(entry);
  if (!names) return;
  std::vector<string_view> candidates;
  for (const Key& key : keys) candidates.push_back(key.name);
  std::set<string_view> seen;
  for (const Value& value : *names) {
    const auto* name = std::get_if<string>(&value.data);
    if (!name) continue;
    if (!seen.insert(*name).second)
      diagnostics.warning(value.position, "key `" + *name + "` stands twice in this rule");
    const auto found = std::find(candidates.begin(), candidates.end(), *name);
    if (found != candidates.end()) {
      const auto index = static_cast<size_t>(found - candidates.begin());
      rule.signed_by.push_back({*name, index, value.position});
      continue;
    }
    string hint = did_you_mean(*name, candidates);
    if (hint.empty()) hint = "a key begins with [keys." + *name + "]";
    diagnostics.error(value.position, "there is no key `" + *name + "`", hint);
  }
}

// signed-by and signature depend on each other.
void read_conditions(const Fields& fields, const std::vector<Key>& keys, Rule& rule,
                     DiagnosticList& diagnostics) {
  const Entry* signed_by = fields.find("signed-by");
  const Entry* signature = fields.find("signature");
  if (signed_by) read_signers(fields, *signed_by, keys, rule, diagnostics);
  rule.signature = signed_by ? Signature::prog_only : Signature::unsigned_;
  if (signature) {
    const auto least = fields.word<Signature>(*signature, kSignatures);
    if (least == Signature::unsigned_ && signed_by)
      diagnostics.error(signature->value.position,
                        "`signature = \"unsigned\"` contradicts `signed-by`",
                        "what a key signed is signed: leave `signature` out, or `signed-by`");
    if (least) rule.signature = *least;
  } else if (!signed_by && rule.action == Action::allow && !rule.attach.empty()) {
    diagnostics.error(rule.position, "this rule allows programs but does not say whose",
                      "add signed-by = [\"a-key\"], or say signature = \"unsigned\" to allow "
                      "everyone's");
  }
}

string list_families(const FamilySet& families) {
  string list;
  for (size_t i = 0; i < attach_families().size(); i++)
    if (families.test(i))
      list += (list.empty() ? "`" : ", `") + string(attach_families()[i].name) + "`";
  return list;
}

// What is decided at load is decided for all that a load may become.
void warn_of_ambiguity(const Rule& rule, DiagnosticList& diagnostics) {
  struct Ambiguity {
    FamilySet named, others;
  };
  std::map<uint32_t, Ambiguity> by_type;
  const FamilySet named = named_families(rule);
  for (const LoadClass& load : load_classes()) {
    const Coverage coverage = coverage_of(rule.action, named, load);
    if (coverage.others.none()) continue;
    Ambiguity& found = by_type[load.prog_type];
    found.named |= named & load.reach;
    found.others |= coverage.others;
  }
  for (const auto& [type, found] : by_type) {
    const auto first = std::find_if(
        rule.attach.begin(), rule.attach.end(),
        [&](const AttachEntry& entry) { return (entry.pattern.families & found.named).any(); });
    const bool allows = rule.action == Action::allow;
    diagnostics.warning(
        first->position,
        "what is loaded for " + list_families(found.named) +
            (allows ? " can be attached as " : " is not known from ") +
            list_families(found.others) + ": this rule " + (allows ? "admits" : "denies") +
            " that too",
        "name them in the rule to show that you mean it; a later version will decide at attach");
  }
}

Rule read_rule(const Value& value, const std::vector<Key>& keys, DiagnosticList& diagnostics) {
  Rule rule;
  rule.position = value.position;
  const auto* table = std::get_if<Table>(&value.data);
  if (!table) {
    diagnostics.error(value.position, "a rule must be a table, not " + string(value.kind()),
                      "a rule begins with [[rules]]");
    return rule;
  }
  const Fields fields(*table, value.position, "a rule", {kRuleNames, kLaterNames}, diagnostics);
  read_name(fields, rule);
  read_action(fields, rule, diagnostics);
  read_conditions(fields, keys, rule, diagnostics);
  if (const Entry* mode = fields.find("mode")) rule.mode = fields.word<Mode>(*mode, kModeWords);
  warn_of_ambiguity(rule, diagnostics);
  return rule;
}

}  // namespace

std::vector<Rule> read_rules(const Entry& entry, const std::vector<Key>& keys,
                             DiagnosticList& diagnostics) {
  std::vector<Rule> rules;
  const auto* array = std::get_if<Array>(&entry.value.data);
  if (!array) {
    diagnostics.error(entry.value.position,
                      "`rules` must be an array of tables, not " + string(entry.value.kind()),
                      "a rule begins with [[rules]]");
    return rules;
  }
  if (array->size() > BW_MAX_RULES)
    diagnostics.error((*array)[BW_MAX_RULES].position,
                      "the policy has " + std::to_string(array->size()) + " rules; " +
                          std::to_string(BW_MAX_RULES) + " fit",
                      "join rules that differ only in their attach points");
  std::map<string, uint32_t> lines;
  for (const Value& value : *array) {
    rules.push_back(read_rule(value, keys, diagnostics));
    const Rule& rule = rules.back();
    if (rule.name.empty()) continue;
    const auto [known, is_new] = lines.emplace(rule.name, rule.position.line);
    if (!is_new)
      diagnostics.error(rule.position, "two rules are called `" + rule.name + "`",
                        "the first one is in line " + std::to_string(known->second));
  }
  return rules;
}

}  // namespace bpfwarden::policy
