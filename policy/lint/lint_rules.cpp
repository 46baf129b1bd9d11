#include <algorithm>
#include <map>

#include "policy/image/coverage.h"
#include "policy/lint/lint_parts.h"
#include "policy/text/date.h"

namespace bpfwarden::policy {
namespace {

using std::string;
using std::string_view;

constexpr int64_t kYear = int64_t{366} * 86'400;

void lint_dates(const Rule& rule, int64_t now, DiagnosticList& diagnostics) {
  if (rule.expires && *rule.expires <= now)
    diagnostics.warning("rule-expired", place_of(rule.settings, "expires", rule.position),
                        "rule `" + rule.name + "` expired on " + date_text(*rule.expires) +
                            " and matches nothing any more",
                        "delete the rule, or give it a later date");
  if (rule.not_before && *rule.not_before > now + kYear)
    diagnostics.warning("rule-not-yet", place_of(rule.settings, "not-before", rule.position),
                        "rule `" + rule.name + "` matches nothing before " +
                            date_text(*rule.not_before) + ", more than a year from now",
                        "correct the year, or add the rule when its time has come");
}

// With a signer or a digest, a subject only narrows what is vouched for otherwise.
void lint_exemption(const Rule& rule, DiagnosticList& diagnostics) {
  if (rule.action != Action::allow || !rule.signed_by.empty() || !rule.digests.empty()) return;
  const string_view name = !rule.exes.empty()      ? "exe"
                           : !rule.cgroups.empty() ? "cgroup"
                           : !rule.uids.empty()    ? "uid"
                                                   : "";
  if (name.empty()) return;
  diagnostics.warning("exempt-by-subject", place_of(rule.settings, name, rule.position),
                      "rule `" + rule.name + "` admits programs for who loads them (`" +
                          string(name) + "`), whoever wrote them",
                      "a trusted binary is not immune to attack: sign what it loads and say "
                      "`signed-by`, or list `digests`; until then, set `expires`");
}

// What is decided at load is decided for all that a load may become. What a load is allowed to
// become is asked again at attach, if the policy decides anything there.
void lint_ambiguity(const Rule& rule, DiagnosticList& diagnostics) {
  struct Ambiguity {
    FamilySet named, others;
  };
  // What may only be loaded is attached nowhere.
  if (rule.action == Action::load_only) return;
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
    const auto first =
        std::find_if(rule.attach.begin(), rule.attach.end(), [&](const AttachEntry& entry) {
          return is_whole(entry.pattern) && (entry.pattern.families & found.named).any();
        });
    const bool allows = rule.action == Action::allow;
    diagnostics.warning("ambiguous-at-load", first->position,
                        "a program loaded for " + list_families(found.named) +
                            (allows ? " can be attached as " : " cannot be told from one for ") +
                            list_families(found.others) + ": this rule " +
                            (allows ? "admits" : "denies") + " that too",
                        allows ? "name them in the rule to show that you mean it; a policy with "
                                 "anything that falls at "
                                 "attach (a target, a place, load-only) tells them apart there"
                               : "name them in the rule to show that you mean it");
  }
}

bool names_whole(const Rule& rule, string_view family) {
  return named_families(rule).test(*find_family(family));
}

// `read` of `/usr/bin/bash:read`; empty where only files are named.
string_view symbol_of(string_view target) {
  const size_t colon = target.rfind(':');
  return colon == string_view::npos ? string_view() : target.substr(colon + 1);
}

// The beginning of a symbol is the beginning of no offset.
bool is_symbol_prefix(const AttachPattern& pattern) {
  if (pattern.target.match != TargetMatch::prefix || !is_uprobe(pattern.families)) return false;
  const string_view symbol = symbol_of(pattern.target.text);
  return !symbol.empty() && !symbol.starts_with("0x") && symbol != "0";
}

void lint_offsets(const Rule& rule, DiagnosticList& diagnostics) {
  for (const AttachEntry& entry : rule.attach) {
    const AttachPattern& pattern = entry.pattern;
    const bool is_usdt =
        pattern.families.test(*find_family("usdt")) && pattern.target.match != TargetMatch::all;
    const bool is_admitted = names_whole(rule, "uprobe") && names_whole(rule, "uprobe.multi");
    if (is_usdt && rule.action == Action::allow && !is_admitted)
      diagnostics.warning(
          "offset-at-attach", entry.position,
          "`" + pattern.text +
              "` admits no attachment: for the kernel a USDT probe is a `uprobe` or "
              "`uprobe.multi` at an offset, which only the file tells",
          "allow the offsets, as in `uprobe/FILE:0x4a1f0` and `uprobe.multi/FILE:0x4a1f0` (a "
          "refusal's event names them), or `usdt/*`, which is every one of them");
    if (is_symbol_prefix(pattern))
      diagnostics.warning("offset-at-attach", entry.position,
                          "`" + pattern.text +
                              "` matches no attachment: the kernel sees an offset in a file, and "
                              "only whole symbols are looked up when the policy is applied",
                          "name the symbols one by one, or the whole file: `" +
                              pattern.text.substr(0, pattern.text.rfind(':') + 1) + "*`");
  }
}

}  // namespace

string list_families(const FamilySet& families) {
  string list;
  for (size_t i = 0; i < attach_families().size(); i++)
    if (families.test(i))
      list += (list.empty() ? "`" : ", `") + string(attach_families()[i].name) + "`";
  return list;
}

void lint_rules(const Policy& policy, int64_t now, DiagnosticList& diagnostics) {
  const bool told_apart = decides_at_attach(policy);
  for (const Rule& rule : policy.rules) {
    lint_dates(rule, now, diagnostics);
    lint_exemption(rule, diagnostics);
    lint_offsets(rule, diagnostics);
    if (!told_apart || rule.action == Action::deny) lint_ambiguity(rule, diagnostics);
  }
}

}  // namespace bpfwarden::policy
