// Which loads are the same at one attach point: the values of all properties, combined.
#include <map>

#include "policy/answers/diff_who.h"

namespace bpfwarden::policy {
namespace {

constexpr size_t kMaxClasses = 100'000;

RulePair both_pairs(const RulePair& left, const RulePair& right) {
  return {both(left[0], right[0]), both(left[1], right[1])};
}

std::array<uint8_t, 2> either_flag(const std::array<uint8_t, 2>& left,
                                   const std::array<uint8_t, 2>& right) {
  return {static_cast<uint8_t>(left[0] | right[0]), static_cast<uint8_t>(left[1] | right[1])};
}

// What bw_match() makes of some properties at one place, of each image. Sets of rules.
struct Met {
  RulePair sure, may;  // as far as the digest leaves them open
  RulePair children;
  RulePair at_attach;  // where conditions that cannot be read are met by load-only rules, too
  RulePair with_mode;
  std::array<uint8_t, 2> is_known_signer = {}, is_denied_digest = {}, enforces = {};

  auto operator<=>(const Met&) const = default;
};

Met combined(const Met& left, const Met& right) {
  return {.sure = both_pairs(left.sure, right.sure),
          .may = both_pairs(left.may, right.may),
          .children = both_pairs(left.children, right.children),
          .at_attach = both_pairs(left.at_attach, right.at_attach),
          .with_mode = both_pairs(left.with_mode, right.with_mode),
          .is_known_signer = either_flag(left.is_known_signer, right.is_known_signer),
          .is_denied_digest = either_flag(left.is_denied_digest, right.is_denied_digest),
          .enforces = either_flag(left.enforces, right.enforces)};
}

Met everything_at(const PlaceClass& place) {
  return {.sure = place.rules,
          .may = place.rules,
          .children = place.children,
          .at_attach = place.rules,
          .with_mode = place.rules};
}

Met met_at(const PlaceClass& place, const Verdicts& verdicts) {
  const RulePair what = both_pairs(verdicts.who, verdicts.what);
  Met met = {.sure = both_pairs(what, verdicts.digest_sure),
             .may = both_pairs(what, verdicts.digest_may),
             .children = verdicts.who,
             .at_attach = verdicts.at_attach,
             .with_mode = verdicts.with_mode,
             .is_known_signer = verdicts.is_known_signer,
             .is_denied_digest = verdicts.is_denied_digest,
             .enforces = verdicts.enforces};
  if (!place.is_loader) met.is_known_signer = {};
  return combined(met, everything_at(place));
}

// The values that are the same at a place.
struct ValueSet {
  size_t first;  // one of them
  std::vector<bool> values;
};

using ValueSets = std::map<Met, ValueSet>;

ValueSets value_sets(const PlaceClass& place, const Property& property) {
  ValueSets sets;
  for (size_t i = 0; i < property.values.size(); i++) {
    const auto [entry, is_new] =
        sets.try_emplace(met_at(place, property.values[i].verdicts), ValueSet{i, {}});
    entry->second.values.resize(property.values.size());
    entry->second.values[i] = true;
  }
  return sets;
}

// The rules that match for certain, whatever the values from `first` on are. Only where targets and
// places are settled: `sure` leaves them out.
RulePair settled_by(const std::vector<ValueSets>& sets, size_t first, const PlaceClass& place) {
  RulePair settled = place.settled;
  for (size_t i = first; i < sets.size(); i++)
    for (const auto& [met, values] : sets[i]) settled = both_pairs(settled, met.sure);
  return settled;
}

// Rules after one that matches for certain do not matter any more.
void forget_after_first(const RulePair& settled, Met& met) {
  for (size_t side = 0; side < 2; side++) {
    bool is_settled = false;
    for (size_t i = 0; i < BW_VECTOR_WORDS; i++) {
      const uint64_t certain = settled[side][i] & met.sure[side][i];
      const uint64_t up_to = certain == 0 ? ~uint64_t{0} : certain ^ (certain - 1);
      const uint64_t kept = is_settled ? 0 : up_to;
      for (RulePair* rules : {&met.sure, &met.may, &met.children, &met.at_attach})
        (*rules)[side][i] &= kept;
      is_settled = is_settled || certain != 0;
    }
    if (is_settled) met.with_mode[side] = {};
  }
}

// Takes `added` into a class about which the images say the same.
void unite(WhoClass& into, const WhoClass& added) {
  size_t different = 0;
  for (size_t i = 0; i < into.values.size(); i++) {
    different += into.values[i] != added.values[i];
    for (size_t n = 0; n < into.values[i].size(); n++)
      if (added.values[i][n]) into.values[i][n] = true;
  }
  into.is_exact = into.is_exact && added.is_exact && different <= 1;
}

WhoClass narrowed(const WhoClass& known, const Property& property, const ValueSet& set) {
  WhoClass one = known;
  one.values.push_back(set.values);
  one.example.push_back(set.first);
  for (size_t side = 0; side < 2; side++)
    property.values[set.first].set(one.representatives[side], side);
  return one;
}

}  // namespace

Result<std::vector<WhoClass>> who_classes(const std::vector<Property>& properties,
                                          const PlaceClass& place, int64_t now) {
  std::vector<ValueSets> sets;
  for (const Property& property : properties) sets.push_back(value_sets(place, property));
  WhoClass anyone;
  for (Situation& situation : anyone.representatives) situation.time = now;
  std::map<Met, WhoClass> classes = {{everything_at(place), std::move(anyone)}};
  for (size_t i = 0; i < properties.size(); i++) {
    const RulePair settled = settled_by(sets, i + 1, place);
    std::map<Met, WhoClass> next;
    for (const auto& [value_met, set] : sets[i])
      for (const auto& [known_met, known] : classes) {
        Met met = combined(known_met, value_met);
        forget_after_first(settled, met);
        WhoClass one = narrowed(known, properties[i], set);
        const auto [entry, is_new] = next.try_emplace(met, one);
        if (!is_new) unite(entry->second, one);
      }
    classes = std::move(next);
    if (classes.size() > kMaxClasses)
      return fail("the two policies tell more than " + std::to_string(kMaxClasses) +
                      " kinds of loads apart at " + place.texts.front() + ": too many to compare",
                  "compare with fewer names in uid, exe, cgroup and digests");
  }
  std::vector<WhoClass> result;
  result.reserve(classes.size());
  for (auto& [met, one] : classes) result.push_back(std::move(one));
  return result;
}

}  // namespace bpfwarden::policy
