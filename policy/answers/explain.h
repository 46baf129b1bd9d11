// Why a policy decides as it does: the rule, and what kept each rule before it from deciding.
//
// Owns its texts. Built from what decide_on() says, so it tells what the kernel part does.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "policy/answers/reasons.h"
#include "policy/image/situation.h"

namespace bpfwarden::policy {

struct PassedRule {
  uint32_t rule;
  std::vector<std::string> reasons;  // none: it may still match at attach
};

struct StageExplanation {
  bw_stage stage = BW_STAGE_LOAD;
  bw_decision decision = {};
  std::vector<PassedRule> passed;     // the rules before the one that decided, or all
  std::vector<NearMiss> near_misses;  // for a denial: what would have admitted it
};

struct Explanation {
  std::vector<StageExplanation> stages;  // load; attach too if the policy decides there
  bool lacks_attach = false;             // the policy does, but nothing is known of an attachment
  std::string revoked_key;               // as Situation has it
  [[nodiscard]] const bw_decision& decision() const { return stages.back().decision; }
};

[[nodiscard]] Explanation explain(const bw_image& image, const Situation& situation);

// "rule `network team` (edge.toml:14)", "the default", or the cause in words.
[[nodiscard]] std::string decider_text(const Policy& policy, const bw_decision& decision);
[[nodiscard]] std::string rule_text(const Policy& policy, uint32_t rule);

// What the caller gets: "allowed", "refused with EPERM", "let through (audit: …)".
[[nodiscard]] std::string_view effect_text(const bw_decision& decision);

// All of it for people, several lines.
[[nodiscard]] std::string to_text(const Explanation& explanation, const Policy& policy);

}  // namespace bpfwarden::policy
