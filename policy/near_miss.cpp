#include "policy/near_miss.h"

#include "policy/explain.h"

namespace bpfwarden::policy {
namespace {

std::string missing_signature(const bw_image& image, uint32_t rule) {
  for (uint32_t wanted = 0; wanted < BW_SIGNATURES; wanted++)
    if (bw_test_bit(&image.signature[wanted], rule) != 0)
      return "signature " + std::string(signature_name(static_cast<bw_signature>(wanted))) +
             " or more";
  return "a signature that does not exist";
}

std::string reason_of(const bw_image& image, const bw_facts& facts, uint32_t rule) {
  std::string reason;
  if (bw_test_bit(&image.signature[facts.signature], rule) == 0)
    reason = missing_signature(image, rule);
  if (bw_test_bit(&image.signer[facts.signer], rule) != 0) return reason;
  if (!reason.empty()) reason += " and ";
  return reason + (facts.signer == BW_SIGNER_UNKNOWN ? "a signer that it names"
                                                     : "another signer than this one");
}

}  // namespace

std::vector<NearMiss> near_misses(const bw_image& image, const bw_facts& facts) {
  bw_facts known = facts;
  known.attach_class =
      static_cast<uint8_t>(bw_class_of(&image, known.prog_type, known.attach_type));
  if (known.signature >= BW_SIGNATURES || known.signer >= BW_MAX_SIGNERS) return {};
  const bw_pattern* pattern = bw_find(&image, &known);
  if (pattern == nullptr) return {};
  std::vector<NearMiss> found;
  for (uint32_t rule = 0; rule < image.rule_count; rule++) {
    if (bw_test_bit(&image.vectors[pattern->may], rule) == 0) continue;
    if (bw_test_bit(&image.allow, rule) == 0) continue;
    std::string reason = reason_of(image, known, rule);
    if (!reason.empty()) found.push_back({.rule = rule, .reason = std::move(reason)});
  }
  return found;
}

}  // namespace bpfwarden::policy
