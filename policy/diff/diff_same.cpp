#include "policy/diff/diff_same.h"

#include <algorithm>
#include <map>

namespace bpfwarden::policy {
namespace {

using Candidates = std::vector<std::pair<uint32_t, uint32_t>>;  // old, new; in the order of the old

// What a rule is, beside what it asks for.
auto meaning_of(const bw_image& image, uint32_t rule) {
  return std::tuple(bw_test_bit(&image.allow, rule), bw_test_bit(&image.load_only, rule),
                    bw_test_bit(&image.audit, rule), bw_test_bit(&image.enforce, rule),
                    bw_mode_of(&image, rule), bw_test_bit(&image.keyed, rule),
                    bw_test_bit(&image.detect, rule),
                    bw_test_bit(&image.origin[BW_ORIGIN_LOADER], rule));
}

bool asks_for_the_same(const std::vector<Property>& properties, uint32_t before, uint32_t after) {
  for (const Property& property : properties)
    for (const ValueClass& one : property.classes)
      for (const RulePair* rules : {&one.verdicts.load, &one.verdicts.attach})
        if (has_rule((*rules)[0], before) != has_rule((*rules)[1], after)) return false;
  return true;
}

Candidates candidates(const DiffSides& sides, const std::vector<Property>& properties) {
  std::map<std::string, uint32_t> named;
  for (uint32_t i = 0; i < sides[1].image.rule_count; i++)
    named.emplace(sides[1].policy.rules[i].name, i);
  Candidates found;
  for (uint32_t i = 0; i < sides[0].image.rule_count; i++) {
    const auto twin = named.find(sides[0].policy.rules[i].name);
    if (twin == named.end() ||
        meaning_of(sides[0].image, i) != meaning_of(sides[1].image, twin->second) ||
        !asks_for_the_same(properties, i, twin->second))
      continue;
    found.emplace_back(i, twin->second);
    named.erase(twin);
  }
  return found;
}

// The most of them that are in the same order on both sides.
Candidates in_order(const Candidates& all) {
  std::vector<size_t> ends;  // by length: the one with the smallest end
  std::vector<size_t> before(all.size(), all.size());
  for (size_t i = 0; i < all.size(); i++) {
    const auto at =
        std::ranges::lower_bound(ends, all[i].second, {}, [&](size_t n) { return all[n].second; });
    if (at != ends.begin()) before[i] = *std::prev(at);
    if (at == ends.end())
      ends.push_back(i);
    else
      *at = i;
  }
  Candidates longest;
  for (size_t i = ends.empty() ? all.size() : ends.back(); i < all.size(); i = before[i])
    longest.push_back(all[i]);
  return longest;
}

bool same_at_all_times(const std::vector<Property>& properties) {
  return std::ranges::all_of(properties, [](const Property& property) {
    return std::ranges::all_of(property.classes, [](const ValueClass& one) {
      return one.verdicts.enforces[0] == one.verdicts.enforces[1];
    });
  });
}

}  // namespace

SameRules::SameRules(const DiffSides& sides, const std::vector<Property>& properties) {
  const bw_image &before = sides[0].image, &after = sides[1].image;
  comparable_ =
      ((before.flags ^ after.flags) & BW_IMAGE_ATTACH) == 0 && same_at_all_times(properties);
  defaults_ = before.default_allow == after.default_allow && before.mode == after.mode &&
              ((before.flags ^ after.flags) & BW_IMAGE_DETECT) == 0;
  for (const Property& property : properties)
    for (const ValueClass& one : property.classes)
      digests_ = digests_ && one.verdicts.is_denied_digest[0] == one.verdicts.is_denied_digest[1];
  for (size_t i = 0; i < 2; i++) twins_[i].resize(sides[i].image.rule_count);
  for (const auto& [old_rule, new_rule] : in_order(candidates(sides, properties))) {
    twins_[0][old_rule] = new_rule;
    twins_[1][new_rule] = old_rule;
  }
}

std::optional<uint32_t> SameRules::twin(size_t side, uint32_t rule) const {
  return rule < twins_[side].size() ? twins_[side][rule] : std::nullopt;
}

}  // namespace bpfwarden::policy
