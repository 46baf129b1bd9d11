#include <algorithm>

#include "policy/image/coverage.h"
#include "policy/language/read_policy.h"
#include "policy/lint/lint_parts.h"
#include "policy/lint/reach.h"

namespace bpfwarden::policy {
namespace {

using std::string;

constexpr size_t kMaxNamed = 3;  // rules in one message

// "rule `a` (edge.toml:12)", "one of the rules `a` (…), `b` (…) and 4 more"
string list_rules(const Policy& policy, const RuleSet& rules) {
  string list;
  size_t named = 0;
  for (size_t i = 0; i < policy.rules.size() && named < kMaxNamed; i++) {
    if (!rules.test(i)) continue;
    const Rule& rule = policy.rules[i];
    list +=
        (named++ ? ", `" : "`") + rule.name + "` (" + place_text(policy.files, rule.position) + ")";
  }
  if (rules.count() == 1) return "rule " + list;
  if (rules.count() > named) list += " and " + std::to_string(rules.count() - named) + " more";
  return "one of the rules " + list;
}

bool names_parts(const Rule& rule) {
  return std::ranges::any_of(rule.attach,
                             [](const AttachEntry& entry) { return !is_whole(entry.pattern); });
}

bool admits_loaders(const Rule& rule) {
  return rule.action != Action::deny && !rule.signed_by.empty() &&
         rule.origin.value_or(Origin::loader) == Origin::loader;
}

void lint_shadow(const Policy& policy, uint32_t index, const Reach& reach,
                 DiagnosticList& diagnostics) {
  const auto before = reach.always_before(index);
  if (!before) return;
  const Rule& rule = policy.rules[index];
  string hint = "delete it, or move it up";
  if (rule.mode && reach.leaves_to_its_mode(index))
    hint += "; its `mode` still holds for programs on its attach points that no rule matches";
  if (rule.action != Action::allow && names_parts(rule))
    hint += "; it still refuses programs whose target cannot be found out";
  if (admits_loaders(rule)) hint += "; signed loaders of its keys may still run by it";
  diagnostics.warning("shadowed-rule", place_of(rule.settings, "name", rule.position),
                      "rule `" + rule.name + "` never decides about what it names: " +
                          list_rules(policy, *before) + " always comes first",
                      hint);
}

// An enforcing policy denies by default, but not where a rule on trial says otherwise.
void lint_audit_hole(const Policy& policy, uint32_t index, const Reach& reach,
                     DiagnosticList& diagnostics) {
  const Rule& rule = policy.rules[index];
  if (policy.mode != Mode::enforce || rule.mode != Mode::audit ||
      policy.default_action == Action::allow || !reach.leaves_to_its_mode(index))
    return;
  diagnostics.warning(
      "audit-hole", place_of(rule.settings, "mode", rule.position),
      "`mode = \"audit\"` of rule `" + rule.name +
          "` also lets through all programs that no rule matches on its attach points, although "
          "the "
          "policy enforces",
      "end the trial: take `mode` out; or deny the rest in a rule of its own, after this one");
}

FamilySet powerful_families() {
  FamilySet families;
  for (const std::string_view name :
       {"lsm", "lsm_cgroup", "fmod_ret", "struct_ops", "syscall", "freplace"})
    if (const auto family = find_family(name)) families.set(*family);
  return families;
}

void lint_unsigned(const Policy& policy, uint32_t index, const Reach& reach,
                   DiagnosticList& diagnostics) {
  const Rule& rule = policy.rules[index];
  if (rule.action != Action::allow || rule.signature != Signature::unsigned_ ||
      !rule.digests.empty())
    return;
  const FamilySet powerful = reach.decides_for(index) & powerful_families();
  if (powerful.none()) return;
  SourceRange where = rule.position;
  for (auto entry = rule.attach.rbegin(); entry != rule.attach.rend(); ++entry)
    if ((entry->pattern.families & powerful).any()) where = entry->position;
  diagnostics.warning("unsigned-powerful", where,
                      "rule `" + rule.name + "` allows unsigned programs for " +
                          list_families(powerful) +
                          ", which can change what the kernel and its security modules decide",
                      "demand signed-by = [\"…\"], or list the exact programs in `digests`");
}

}  // namespace

void lint_reach(const Policy& policy, const bw_image& image, int64_t now,
                DiagnosticList& diagnostics) {
  const Reach reach(image, now);
  for (uint32_t i = 0; i < policy.rules.size(); i++) {
    lint_shadow(policy, i, reach, diagnostics);
    lint_audit_hole(policy, i, reach, diagnostics);
    lint_unsigned(policy, i, reach, diagnostics);
  }
}

}  // namespace bpfwarden::policy
