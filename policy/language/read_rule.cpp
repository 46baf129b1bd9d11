#include "policy/language/read_rule.h"

#include <algorithm>
#include <set>

#include "policy/language/fields.h"
#include "policy/language/language.h"
#include "policy/language/read_conditions.h"
#include "policy/language/read_keys.h"
#include "policy/language/warnings.h"
#include "policy/language/words.h"

namespace bpfwarden::policy {
namespace {

using std::string;
using std::string_view;

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
      diagnostics.warning("duplicate", value.position, "`" + *text + "` stands twice in this rule",
                          "write it once");
    auto pattern = parse_attach_pattern(*text);
    if (pattern)
      rule.attach.push_back({std::move(*pattern), value.position});
    else
      diagnostics.error(value.position, pattern.error().message, pattern.error().hint);
  }
}

// A cgroup LSM program has both a target and a place, which are looked up apart: two pairs in one
// rule would also stand for the pairs that mix them.
void refuse_mixed_places(const Rule& rule, DiagnosticList& diagnostics) {
  const auto family = find_family("lsm_cgroup");
  std::vector<const AttachEntry*> entries;
  bool has_place = false;
  for (const AttachEntry& entry : rule.attach) {
    if (!family || !entry.pattern.families.test(*family)) continue;
    entries.push_back(&entry);
    has_place = has_place || entry.pattern.place.match != TargetMatch::all;
  }
  if (has_place && entries.size() > 1)
    diagnostics.error(entries[1]->position,
                      "one rule cannot hold several `lsm_cgroup` attach points with places",
                      "make it a rule of its own");
}

void read_action(const Fields& fields, Rule& rule, DiagnosticList& diagnostics) {
  const Entry* found = nullptr;
  for (const auto& [word, action] : kActionWords) {
    const Entry* entry = fields.find(word);
    if (!entry) continue;
    if (found)
      diagnostics.error(
          entry->position.line < found->position.line ? found->position : entry->position,
          "a rule has either `" + found->key + "` or `" + entry->key + "`, not both",
          "make it two rules");
    else
      rule.action = action;
    found = entry;
    read_attach(fields, *entry, rule, diagnostics);
  }
  if (!found)
    diagnostics.error(rule.position, "this rule has neither `allow` nor `deny` nor `load-only`",
                      "add allow = [\"…\"] or deny = [\"…\"] with attach points");
  refuse_mixed_places(rule, diagnostics);
}

// signed-by and signature depend on each other.
void read_signature(const Fields& fields, const std::vector<Key>& keys, Rule& rule,
                    DiagnosticList& diagnostics) {
  const Entry* signed_by = fields.find("signed-by");
  const Entry* signature = fields.find("signature");
  if (signed_by)
    rule.signed_by = read_key_references(fields, *signed_by, keys, "this rule", diagnostics);
  rule.signature = signed_by ? Signature::prog_only : Signature::unsigned_;
  if (signature) {
    const auto least = fields.word<Signature>(*signature, kSignatureWords);
    if (least == Signature::unsigned_ && signed_by)
      diagnostics.error(
          signature->value.position, "`signature = \"unsigned\"` contradicts `signed-by`",
          "a program that a key signed is not unsigned: leave `signature` out, or `signed-by`");
    if (least) rule.signature = *least;
  } else if (!signed_by && rule.action != Action::deny && !rule.attach.empty()) {
    diagnostics.error(rule.position, "this rule allows programs but does not say whose",
                      "add signed-by = [\"a-key\"], or say signature = \"unsigned\" to allow "
                      "everyone's");
  }
}

void read_multithreaded_attach(const Fields& fields, Rule& rule, DiagnosticList& diagnostics) {
  const Entry* entry = fields.find("multithreaded-attach");
  if (!entry) return;
  rule.multithreaded_attach = fields.word<SharedAttach>(*entry, kSharedAttachWords);
  if (rule.action != Action::allow)
    diagnostics.error(entry->position, "this rule admits no attachment that threads could make",
                      "`multithreaded-attach` belongs to an allow rule, or to the policy");
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
  const Fields fields(*table, value.position, "a rule", names_of(TableKind::rule), diagnostics);
  rule.settings = fields.places();
  read_name(fields, rule);
  rule.description = read_description(fields);
  read_action(fields, rule, diagnostics);
  read_signature(fields, keys, rule, diagnostics);
  read_conditions(fields, rule, diagnostics);
  if (const Entry* mode = fields.find("mode")) rule.mode = fields.word<Mode>(*mode, kModeWords);
  read_multithreaded_attach(fields, rule, diagnostics);
  rule.accept = read_accept(fields, diagnostics);
  if (const Entry* log = fields.find("log")) rule.log = fields.boolean(*log).value_or(true);
  if (!rule.log && rule.action == Action::deny)
    diagnostics.error(place_of(rule.settings, "log", rule.position), "denials are always logged",
                      "take `log` out of this rule");
  return rule;
}

}  // namespace

void read_rules(const Entry& entry, Policy& policy, DiagnosticList& diagnostics) {
  const auto* array = std::get_if<Array>(&entry.value.data);
  if (!array)
    return diagnostics.error(
        entry.value.position,
        "`rules` must be an array of tables, not " + string(entry.value.kind()),
        "a rule begins with [[rules]]");
  for (const Value& value : *array) {
    Rule rule = read_rule(value, policy.keys, diagnostics);
    const auto first = std::find_if(
        policy.rules.begin(), policy.rules.end(),
        [&](const Rule& known) { return !known.name.empty() && known.name == rule.name; });
    if (first != policy.rules.end())
      diagnostics.error(rule.position, "two rules are called `" + rule.name + "`",
                        "the first one is at " + place_text(policy.files, first->position));
    policy.rules.push_back(std::move(rule));
    if (policy.rules.size() > BW_MAX_RULES)
      return diagnostics.error(
          value.position, "the policy has more than " + std::to_string(BW_MAX_RULES) + " rules",
          "join rules that differ only in their attach points");
  }
}

}  // namespace bpfwarden::policy
