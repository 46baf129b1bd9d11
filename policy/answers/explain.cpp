#include "policy/answers/explain.h"

#include "base/joined.h"
#include "policy/language/read_policy.h"
#include "policy/text/wording.h"

namespace bpfwarden::policy {
namespace {

using std::string;

StageExplanation explain_stage(const bw_image& image, const bw_facts& facts,
                               const bw_decision& decision) {
  StageExplanation stage;
  stage.stage = static_cast<bw_stage>(facts.stage);
  stage.decision = decision;
  if (decision.cause != BW_CAUSE_RULE && decision.cause != BW_CAUSE_DEFAULT) return stage;
  for (uint32_t rule = 0; rule < image.rule_count && rule != decision.rule; rule++)
    stage.passed.push_back({rule, reasons_against(image, facts, rule)});
  if (decision.allow == 0) stage.near_misses = near_misses(image, facts);
  return stage;
}

string stage_text(const StageExplanation& stage, const Policy& policy) {
  const bw_decision& decision = stage.decision;
  string text = stage.stage == BW_STAGE_LOAD ? "  at load: " : "  at attach: ";
  text += string(decision.allow != 0 ? "allowed by " : "denied by ") +
          decider_text(policy, decision) + ", mode " +
          string(mode_name(static_cast<bw_mode>(decision.mode))) + "\n";
  if (decision.rule != BW_NO_RULE && !policy.rules[decision.rule].description.empty())
    text += "      " + policy.rules[decision.rule].description + "\n";
  if (is_fixed(static_cast<bw_cause>(decision.cause)))
    text += "    no rule can allow it, and it is enforced as soon as anything is\n";
  for (const PassedRule& passed : stage.passed)
    text += "    not " + rule_text(policy, passed.rule) + ": " +
            (passed.reasons.empty() ? "it may match only at attach"
                                    : "it asks for " + joined(passed.reasons, " and ")) +
            "\n";
  for (const NearMiss& miss : stage.near_misses)
    text += "    " + rule_text(policy, miss.rule) + " would have allowed it, with " + miss.reason +
            "\n";
  return text;
}

}  // namespace

Explanation explain(const bw_image& image, const Situation& situation) {
  const LoadOutcome outcome = decide_on(image, situation);
  Explanation explanation;
  explanation.lacks_attach =
      situation.is_only_load && outcome.load.allow != 0 && (image.flags & BW_IMAGE_ATTACH) != 0;
  explanation.revoked_key = situation.revoked_key;
  explanation.stages.push_back(explain_stage(image, outcome.load_facts, outcome.load));
  if (outcome.attach)
    explanation.stages.push_back(explain_stage(image, outcome.attach_facts, *outcome.attach));
  return explanation;
}

string rule_text(const Policy& policy, uint32_t rule) {
  const Rule& found = policy.rules[rule];
  return "rule `" + found.name + "` (" + place_text(policy.files, found.position) + ")";
}

string decider_text(const Policy& policy, const bw_decision& decision) {
  if (decision.rule != BW_NO_RULE) return rule_text(policy, decision.rule);
  if (decision.cause == BW_CAUSE_DEFAULT) return "the default";
  return string(cause_text(static_cast<bw_cause>(decision.cause)));
}

std::string_view effect_text(const bw_decision& decision) {
  if (decision.allow != 0) return "allowed";
  return bw_refused(&decision) != 0 ? "refused with EPERM"
                                    : "let through (audit: enforcing would refuse it)";
}

string to_text(const Explanation& explanation, const Policy& policy) {
  const bw_decision& decision = explanation.decision();
  string text = string(effect_text(decision)) + "\n";
  for (const StageExplanation& stage : explanation.stages) text += stage_text(stage, policy);
  if (explanation.lacks_attach)
    text += "  note: this is about the load alone; for what falls at attach, ask with `--attach`\n";
  if (!explanation.revoked_key.empty())
    text += "  note: key `" + explanation.revoked_key +
            "` vouches for nothing: all its certificates are revoked, or may not issue others\n";
  if (decision.allow == 0)
    text += "  next: " + string(next_step(static_cast<bw_cause>(decision.cause))) + "\n";
  return text;
}

}  // namespace bpfwarden::policy
