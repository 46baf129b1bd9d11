#include "policy/answers/reasons.h"

#include "policy/text/wording.h"

namespace bpfwarden::policy {
namespace {

bool is_in(const bw_vector& vector, uint32_t rule) { return bw_test_bit(&vector, rule) != 0; }

// Who loads is known, or meets the condition for certain; all else may still turn out to.
bool may_match(const bw_image& image, const bw_facts& facts, bw_dimension dimension,
               uint32_t rule) {
  return is_in(bw_is_about_subject(dimension) != 0 ? *bw_sure(&image, &facts, dimension)
                                                   : *bw_may(&image, &facts, dimension),
               rule);
}

std::string wanted_signature(const bw_image& image, uint32_t rule) {
  for (uint32_t wanted = 0; wanted < BW_SIGNATURES; wanted++)
    if (is_in(image.signature[wanted], rule))
      return "signature " + std::string(signature_name(static_cast<bw_signature>(wanted))) +
             " or more";
  return "a signature that does not exist";
}

// What the rule asks of the one who loads, and of the program itself.
struct NamedCondition {
  bw_dimension dimension;
  std::string_view other;
  std::string_view unknown;
};
constexpr NamedCondition kConditions[] = {
    {BW_NAME_EXE, "another executable", "an executable, and this one could not be read"},
    {BW_NAME_CGROUP, "another cgroup", "a cgroup, and this one could not be read"},
    {BW_NAME_UID, "another user", "a user"},
    {BW_NAME_DIGEST, "another program (digest)", "a program whose digest is known"},
};
struct TraitCondition {
  bw_trait trait;
  std::string_view when_set;  // what the rule wants, where the fact is not so
  std::string_view when_clear;
};
constexpr TraitCondition kTraits[] = {
    {BW_TRAIT_SLEEPABLE, "a sleepable program", "a program that does not sleep"},
    {BW_TRAIT_DELEGATED, "a load with a BPF token", "a load without a BPF token"},
    {BW_TRAIT_GPL_COMPATIBLE, "a GPL-compatible license", "a proprietary license"},
};

void add_who(const bw_image& image, const bw_facts& facts, uint32_t rule,
             std::vector<std::string>& reasons) {
  if (!is_in(image.signature[facts.signature], rule))
    reasons.push_back(wanted_signature(image, rule));
  if (!is_in(image.signer[facts.signer], rule))
    reasons.emplace_back(facts.signer == BW_SIGNER_UNKNOWN ? "a signer that it names"
                                                           : "another signer than this one");
  if (!is_in(image.origin[facts.origin], rule))
    reasons.push_back(
        "origin " +
        std::string(origin_name(is_in(image.origin[BW_ORIGIN_LOADER], rule) ? BW_ORIGIN_LOADER
                                                                            : BW_ORIGIN_USER)));
  if (!is_in(*bw_in_force(&image, facts.time), rule)) reasons.emplace_back("another date");
}

}  // namespace

std::vector<std::string> reasons_against(const bw_image& image, const bw_facts& facts,
                                         uint32_t rule) {
  std::vector<std::string> reasons;
  if (!may_match(image, facts, BW_NAME_TARGET, rule)) return {"another attach point"};
  if (!may_match(image, facts, BW_NAME_PLACE, rule)) reasons.emplace_back("another place");
  add_who(image, facts, rule, reasons);
  for (const NamedCondition& condition : kConditions)
    if (!may_match(image, facts, condition.dimension, rule))
      reasons.emplace_back(facts.names[condition.dimension].known != 0 ? condition.other
                                                                       : condition.unknown);
  for (const TraitCondition& condition : kTraits)
    if (!is_in(*bw_trait_rules(&image, &facts, condition.trait), rule))
      reasons.emplace_back(facts.traits[condition.trait] != 0 ? condition.when_clear
                                                              : condition.when_set);
  return reasons;
}

std::vector<NearMiss> near_misses(const bw_image& image, const bw_facts& facts) {
  bw_facts known = facts;
  known.guard = BW_CAUSE_RULE;
  if (known.signature >= BW_SIGNATURES || known.signer >= BW_MAX_SIGNERS ||
      known.origin >= BW_ORIGINS)
    return {};
  const bw_decision decision = bw_decide(&image, &known);
  if (decision.cause != BW_CAUSE_RULE && decision.cause != BW_CAUSE_DEFAULT) return {};
  std::vector<NearMiss> found;
  for (uint32_t rule = 0; rule < image.rule_count; rule++) {
    if (bw_admits(&image, &known, rule) == 0) continue;
    if (!may_match(image, known, BW_NAME_TARGET, rule)) continue;
    std::string reason;
    for (const std::string& clause : reasons_against(image, known, rule))
      reason += (reason.empty() ? "" : " and ") + clause;
    if (!reason.empty()) found.push_back({.rule = rule, .reason = std::move(reason)});
  }
  return found;
}

}  // namespace bpfwarden::policy
