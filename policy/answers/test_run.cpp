#include "policy/answers/test_run.h"

#include <algorithm>

#include "policy/answers/explain.h"
#include "policy/text/wording.h"

namespace bpfwarden::policy {
namespace {

using std::string;

string name_of(const Policy& policy, const bw_decision& decision) {
  if (decision.rule != BW_NO_RULE) return policy.rules[decision.rule].name;
  return decision.cause == BW_CAUSE_DEFAULT
             ? "default"
             : string(cause_name(static_cast<bw_cause>(decision.cause)));
}

// Why the rule that was expected did not decide.
string about_expected_rule(const string& name, const Explanation& explanation,
                           const Policy& policy) {
  const auto found = std::find_if(policy.rules.begin(), policy.rules.end(),
                                  [&](const Rule& rule) { return rule.name == name; });
  if (found == policy.rules.end()) return name == "default" ? "" : "the policy has no such rule\n";
  const auto index = static_cast<uint32_t>(found - policy.rules.begin());
  const StageExplanation& stage = explanation.stages.back();
  for (const PassedRule& passed : stage.passed) {
    if (passed.rule != index) continue;
    string text = rule_text(policy, index) + " asks for";
    for (const string& reason : passed.reasons) text += " " + reason + ";";
    return text + "\n";
  }
  return rule_text(policy, index) + " comes after " + decider_text(policy, stage.decision) + "\n";
}

bool is_load_only(const Explanation& explanation, const Policy& policy) {
  const bw_decision& at_load = explanation.stages.front().decision;
  return at_load.allow != 0 && at_load.rule < policy.rules.size() &&
         policy.rules[at_load.rule].action == Action::load_only;
}

// Empty if it is allowed, denied or only loaded, as expected.
string complaint_about_answer(Expectation expected, const Explanation& explanation,
                              const Policy& policy) {
  const bw_decision& decision = explanation.decision();
  const string got = decision.allow != 0 ? "allow" : "deny";
  if (expected == Expectation::load_only)
    return is_load_only(explanation, policy)
               ? ""
               : "expected load-only, got " + got + " from " + decider_text(policy, decision) + "\n";
  const string wanted = expected == Expectation::allow ? "allow" : "deny";
  if (wanted == got) return {};
  return "expected " + wanted + ", got " + got + " from " + decider_text(policy, decision) + "\n";
}

// Empty if all is as expected.
string complaint(const TestCase& test, const Explanation& explanation, const Policy& policy) {
  const bw_decision& decision = explanation.decision();
  const string got = name_of(policy, decision);
  string text = complaint_about_answer(test.expected, explanation, policy);
  if (test.rule && *test.rule != got)
    text += "expected rule `" + *test.rule + "`, but " + decider_text(policy, decision) +
            " decided\n" + about_expected_rule(*test.rule, explanation, policy);
  if (test.mode && static_cast<uint8_t>(*test.mode) != decision.mode)
    text += "expected mode " + string(mode_name(static_cast<bw_mode>(*test.mode))) + ", got " +
            string(mode_name(static_cast<bw_mode>(decision.mode))) + "\n";
  return text.empty() ? text : text + to_text(explanation, policy);
}

void note_deciders(const Explanation& explanation, std::vector<bool>& decided) {
  for (const StageExplanation& stage : explanation.stages)
    if (stage.decision.rule < decided.size()) decided[stage.decision.rule] = true;
}

// What is expected is expected of each way in which the kernel may see it; of the first that is not
// so.
string complaint(const TestCase& test, const Situation& situation, const Policy& policy,
                 const bw_image& image, std::vector<bool>& decided) {
  string found;
  const std::vector<Situation> ways = as_seen(situation);
  for (const Situation& way : ways) {
    const Explanation explanation = explain(image, way);
    note_deciders(explanation, decided);
    string text = complaint(test, explanation, policy);
    if (text.empty() || !found.empty()) continue;
    found = ways.size() > 1
                ? "where the kernel sees it as " + attach_point_text(way.attach) + ":\n" + text
                : text;
  }
  return found;
}

}  // namespace

size_t TestReport::failed() const {
  return static_cast<size_t>(std::count_if(outcomes.begin(), outcomes.end(),
                                           [](const TestOutcome& one) { return !one.passed; }));
}

size_t TestReport::covered() const {
  return static_cast<size_t>(std::count(decided.begin(), decided.end(), true));
}

double TestReport::coverage() const {
  if (decided.empty()) return 100;
  return 100.0 * static_cast<double>(covered()) / static_cast<double>(decided.size());
}

TestReport run_tests(const TestFile& tests, const Policy& policy, const bw_image& image,
                     int64_t now) {
  TestReport report;
  report.decided.resize(policy.rules.size());
  for (const TestCase& test : tests.cases) {
    TestOutcome& outcome =
        report.outcomes.emplace_back(TestOutcome{test.name, test.position, false, {}});
    const auto situation = situation_of(test.situation, policy, image, now);
    if (!situation) {
      outcome.reason = situation.error().message + "\n" + situation.error().hint + "\n";
      continue;
    }
    outcome.reason = complaint(test, *situation, policy, image, report.decided);
    outcome.passed = outcome.reason.empty();
  }
  return report;
}

}  // namespace bpfwarden::policy
