#include "policy/lint/reach.h"

#include <algorithm>
#include <span>

#include "policy/image/family_table.h"

namespace bpfwarden::policy {
namespace {

// Far above what policies need; the answer is only whether a warning is given.
constexpr size_t kMaxSteps = 20'000;

RuleSet rules_of(const bw_vector& vector) {
  RuleSet rules;
  for (size_t i = 0; i < BW_VECTOR_WORDS; i++) rules |= RuleSet(vector.words[i]) << 64 * i;
  return rules;
}

uint32_t lowest(const RuleSet& rules) {
  for (uint32_t i = 0; i < rules.size(); i++)
    if (rules.test(i)) return i;
  return BW_NO_RULE;
}

void add_once(std::vector<RuleSet>& values, const RuleSet& value) {
  if (std::find(values.begin(), values.end(), value) == values.end()) values.push_back(value);
}

// The values of a dimension that `rule` is content with.
std::vector<RuleSet> met_by(uint32_t rule, const std::vector<RuleSet>& values) {
  std::vector<RuleSet> met;
  for (const RuleSet& value : values)
    if (value.test(rule)) met.push_back(value);
  return met;
}

RuleSet before(uint32_t rule) { return ~(~RuleSet() << rule); }

// Whether rules cover a box. Splits it along one dimension after the other, until some rule covers
// what is left whole.
class Search {
 public:
  explicit Search(std::vector<std::vector<RuleSet>> dimensions)
      : dimensions_(std::move(dimensions)), whole_(dimensions_.size() + 1, ~RuleSet()) {
    for (size_t i = dimensions_.size(); i-- > 0;) {
      whole_[i] = whole_[i + 1];
      for (const RuleSet& value : dimensions_[i]) whole_[i] &= value;
    }
  }

  [[nodiscard]] bool is_empty() const {
    return std::any_of(dimensions_.begin(), dimensions_.end(), [](auto& d) { return d.empty(); });
  }

  // Of the candidates, those that cover the box by themselves.
  [[nodiscard]] RuleSet single(const RuleSet& candidates) const { return candidates & whole_[0]; }

  // Adds the rules that it took to `used`.
  [[nodiscard]] bool covers(const RuleSet& candidates, RuleSet& used) {
    steps_ = 0;
    return covers(candidates, 0, used);
  }

 private:
  bool covers(const RuleSet& candidates, size_t depth, RuleSet& used) {
    const RuleSet enough = candidates & whole_[depth];
    if (enough.any()) {
      if ((enough & used).none()) used.set(lowest(enough));
      return true;
    }
    if (candidates.none() || depth == dimensions_.size() || ++steps_ > kMaxSteps) return false;
    std::vector<RuleSet> seen;
    for (const RuleSet& value : dimensions_[depth]) {
      const RuleSet left = candidates & value;
      if (std::find(seen.begin(), seen.end(), left) != seen.end()) continue;
      seen.push_back(left);
      if (!covers(left, depth + 1, used)) return false;
    }
    return true;
  }

  std::vector<std::vector<RuleSet>> dimensions_;
  std::vector<RuleSet> whole_;  // by dimension: the rules content with all values from there on
  size_t steps_ = 0;
};

// The search for what `rule` itself meets, by stage.
std::vector<Search> searches_for(uint32_t rule, std::span<const std::vector<RuleSet>> at_load,
                                 std::span<const std::vector<RuleSet>> at_attach) {
  std::vector<Search> searches;
  for (const auto conditions : {at_load, at_attach}) {
    std::vector<std::vector<RuleSet>> met;
    for (const auto& values : conditions) met.push_back(met_by(rule, values));
    searches.emplace_back(std::move(met));
  }
  return searches;
}

}  // namespace

Reach::Reach(const bw_image& image, int64_t now)
    : image_(image), now_(now), allow_(rules_of(image.allow)), patterns_(BW_CLASSES) {
  for (const bw_pattern& pattern : image.patterns)
    if (pattern.hash) patterns_[pattern.name_class].push_back(pattern.rules);
  conditions_[BW_STAGE_LOAD] = conditions(BW_STAGE_LOAD);
  conditions_[BW_STAGE_ATTACH] = conditions(BW_STAGE_ATTACH);
  add_loads();
  if (image.flags & BW_IMAGE_ATTACH) add_attachments();
}

// As bw_decide() chooses: at load, an allow rule that may match counts as one that does.
RuleSet Reach::deciding(bw_stage stage, bw_match_sets sets, bool is_known) const {
  const RuleSet sure = rules_of(image_.vectors[sets.sure]);
  if (stage == BW_STAGE_LOAD) return sure | (may(sets) & allow_);
  return is_known ? may(sets) : sure;
}

// Load-only rules are met by who cannot be identified where they refuse.
RuleSet Reach::deciding_unknown(bw_stage stage, uint32_t name_class) const {
  const bw_match_sets sets = image_.classes[name_class].unknown;
  const bool is_subject =
      name_class >= BW_CLASS_SUBJECT && bw_is_about_subject(name_class - BW_CLASS_SUBJECT) != 0;
  if (!is_subject) return deciding(stage, sets, false);
  return stage == BW_STAGE_LOAD ? rules_of(image_.vectors[sets.sure]) : may(sets);
}

RuleSet Reach::may(bw_match_sets sets) const { return rules_of(image_.vectors[sets.may]); }

Reach::Values Reach::values_of(bw_stage stage, uint32_t name_class, bool can_be_unknown) const {
  const bw_class_info& info = image_.classes[name_class];
  Values values;
  for (const bw_match_sets& sets : patterns_[name_class])
    add_once(values, deciding(stage, sets, true));
  add_once(values, deciding(stage, info.other, true));
  if (can_be_unknown) add_once(values, deciding_unknown(stage, name_class));
  return values;
}

// Only these origins come before the rules: what the kernel loads by itself is denied, and what was
// there before is not judged.
std::vector<Reach::Values> Reach::conditions(bw_stage stage) const {
  Values who, origins, periods;
  const RuleSet nobody = rules_of(image_.signer[BW_SIGNER_UNKNOWN]);
  add_once(who, rules_of(image_.signature[BW_SIGNATURE_UNSIGNED]) & nobody);
  for (const uint32_t covered : {BW_SIGNATURE_PROG_ONLY, BW_SIGNATURE_PROG_USED_MAPS})
    for (uint32_t slot = 0; slot < image_.signer_count; slot++)
      add_once(who, rules_of(image_.signature[covered]) & rules_of(image_.signer[slot]));
  for (const uint32_t origin : {BW_ORIGIN_USER, BW_ORIGIN_LOADER})
    add_once(origins, rules_of(image_.origin[origin]));
  for (uint32_t i = 0; i < image_.period_count; i++)
    if (i + 1 == image_.period_count || image_.periods[i + 1].from > now_)
      add_once(periods, rules_of(image_.periods[i].rules));
  std::vector<Values> all = {who, origins, periods};
  for (const auto& trait : image_.trait) {
    Values& values = all.emplace_back();
    for (const bw_vector& vector : trait) add_once(values, rules_of(vector));
  }
  for (const uint32_t dimension : {BW_NAME_EXE, BW_NAME_CGROUP, BW_NAME_UID, BW_NAME_DIGEST})
    all.push_back(values_of(stage, BW_CLASS_SUBJECT + dimension, dimension != BW_NAME_UID));
  return all;
}

// A load whose target the kernel part cannot read is denied before the rules; a target that only
// the attachment names is never known here.
void Reach::add_loads() {
  for (size_t i = 1; i < load_classes().size(); i++) {
    const bw_class_info& info = image_.classes[i];
    std::vector<bw_match_sets> all;
    if (info.flags & BW_CLASS_NAMED) {
      all = patterns_[i];
      all.push_back(info.other);
    } else {
      all.push_back(info.unknown);
    }
    for (const bw_match_sets& sets : all)
      wheres_.push_back({BW_STAGE_LOAD,
                         load_classes()[i].home,
                         may(sets),
                         deciding(BW_STAGE_LOAD, sets, true),
                         {~RuleSet()},
                         true});
  }
}

void Reach::add_attachments() {
  for (uint32_t i = 0; i < attach_families().size(); i++) {
    if (is_seen_as_another(i)) continue;
    const AttachFamily& family = attach_families()[i];
    const uint32_t name_class = family.target == Target::load
                                    ? load_class_of(family.prog_type, family.attach_type)
                                    : BW_CLASS_ATTACH + i;
    FamilySet only;
    only.set(i);
    const Values places = values_of(BW_STAGE_ATTACH, BW_CLASS_PLACE + i, true);
    const Values named = values_of(BW_STAGE_ATTACH, name_class, false);
    for (const RuleSet& match : values_of(BW_STAGE_ATTACH, name_class, true)) {
      const bool is_named = std::find(named.begin(), named.end(), match) != named.end();
      wheres_.push_back({BW_STAGE_ATTACH, only, match, match, places, is_named});
    }
  }
}

std::optional<RuleSet> Reach::always_before(uint32_t rule) const {
  auto searches = searches_for(rule, conditions_[BW_STAGE_LOAD], conditions_[BW_STAGE_ATTACH]);
  if (searches[BW_STAGE_LOAD].is_empty()) return std::nullopt;
  RuleSet used, common = before(rule);
  for (const Where& where : wheres_) {
    if (!where.is_named || !where.match.test(rule)) continue;
    Search& search = searches[where.stage];
    for (const RuleSet& place : met_by(rule, where.places)) {
      const RuleSet candidates = where.match & place & before(rule);
      if (!search.covers(candidates, used)) return std::nullopt;
      common &= search.single(candidates);
    }
  }
  if (used.none()) return std::nullopt;
  return common.any() ? RuleSet().set(lowest(common)) : used;
}

FamilySet Reach::decides_for(uint32_t rule) const {
  auto searches = searches_for(rule, conditions_[BW_STAGE_LOAD], conditions_[BW_STAGE_ATTACH]);
  FamilySet families;
  if (searches[BW_STAGE_LOAD].is_empty()) return families;
  for (const Where& where : wheres_) {
    if (where.stage != BW_STAGE_LOAD || !where.match.test(rule)) continue;
    RuleSet used;
    if (!searches[BW_STAGE_LOAD].covers(where.match & before(rule), used))
      families |= where.families;
  }
  return families;
}

bool Reach::leaves_to_its_mode(uint32_t rule) const {
  std::vector<Search> searches = {Search(conditions_[BW_STAGE_LOAD]),
                                  Search(conditions_[BW_STAGE_ATTACH])};
  const RuleSet own_mode = rules_of(image_.audit) | rules_of(image_.enforce);
  for (const Where& where : wheres_)
    for (const RuleSet& place : where.places) {
      RuleSet used;
      if (lowest(where.named & place & own_mode) == rule &&
          !searches[where.stage].covers(where.match & place, used))
        return true;
    }
  return false;
}

}  // namespace bpfwarden::policy
