#include "policy/diff/diff_places.h"

#include <linux/bpf.h>

#include <algorithm>
#include <map>

#include "policy/image/family_table.h"

namespace bpfwarden::policy {
namespace {

using std::string;

// What the images say about one name, a target or a place.
struct NameVerdicts {
  RulePair load, named, attach;

  auto operator<=>(const NameVerdicts&) const = default;
};

bw_match_sets looked_up(const bw_image& image, const AttachPoint& attach, bw_stage stage,
                        bw_dimension dimension) {
  bw_facts facts = facts_of(situation_at(attach), stage);
  facts.load_class = static_cast<uint16_t>(bw_class_of(&image, facts.prog_type, facts.attach_type));
  return bw_look_up(&image, &facts, dimension);
}

NameVerdicts look_up(const DiffSides& sides, const AttachPoint& attach, bw_dimension dimension) {
  NameVerdicts found;
  for (size_t i = 0; i < 2; i++) {
    const bw_image& image = sides[i].image;
    const bw_match_sets at_load = looked_up(image, attach, BW_STAGE_LOAD, dimension);
    const bw_match_sets at_attach = looked_up(image, attach, BW_STAGE_ATTACH, dimension);
    found.load[i] = deciding_at_load(image, at_load);
    found.named[i] = words_of(image.vectors[at_load.may]);
    found.attach[i] = words_of(image.vectors[at_attach.sure]);
  }
  return found;
}

// Far more than anybody reads.
constexpr size_t kMaxTexts = 4096;

// A name to ask about, and the pattern that it stands for.
struct Candidate {
  string name;
  string text;
};

// What the entry says about a family, as the kernel sees its attachments.
std::vector<TextMatch> targets_in(const AttachEntry& entry, Action action, size_t family) {
  std::vector<TextMatch> found;
  for (size_t i = 0; i < attach_families().size(); i++) {
    if (!entry.pattern.families.test(i)) continue;
    if (i == family) found.push_back(entry.pattern.target);
    for (SeenAs& seen : seen_as(i, entry.pattern.target, action))
      if (seen.family == family) found.push_back(std::move(seen.target));
  }
  return found;
}

// What both policies say of one kind of names.
struct Names {
  std::set<string> exact, prefixes;

  void add(const TextMatch& match) {
    if (match.match == TargetMatch::exact) exact.insert(match.text);
    if (match.match == TargetMatch::prefix) prefixes.insert(match.text);
  }
  [[nodiscard]] bool empty() const { return exact.empty() && prefixes.empty(); }
};

Names names_in(const DiffSides& sides, size_t family, bool is_place) {
  Names names;
  for (const DiffSide& side : sides)
    for (const Rule& rule : side.policy.rules)
      for (const AttachEntry& entry : rule.attach) {
        if (!is_place)
          for (const TextMatch& target : targets_in(entry, rule.action, family)) names.add(target);
        else if (entry.pattern.families.test(family))
          names.add(entry.pattern.place);
      }
  return names;
}

size_t longest_name(const AttachFamily& family, bool is_place, const string& beginning) {
  constexpr size_t longest_device = 15;  // IFNAMSIZ without NUL
  const bool is_device = is_place && family.place == Place::device;
  return is_device && !beginning.starts_with("netns:") ? longest_device : BW_NAME_SIZE - 1;
}

// The names of one family that either policy gives, and one that neither does.
std::vector<Candidate> candidates(const DiffSides& sides, size_t number, bool is_place) {
  const AttachFamily& family = attach_families()[number];
  const Names names = names_in(sides, number, is_place);
  if (is_place && names.empty()) return {{"", ""}};
  std::set<string> taken = names.exact;
  taken.insert(names.prefixes.begin(), names.prefixes.end());
  const auto fresh = [&](const string& beginning) {
    return fresh_name(beginning, taken, longest_name(family, is_place, beginning));
  };
  std::map<string, string> found;
  for (const string& name : names.exact) found.emplace(name, name);
  for (const string& prefix : names.prefixes) found.emplace(fresh(prefix), prefix + "*");
  if (is_place) found.emplace("", "(unknown)");
  if (!is_place && !names.empty() && family.target == Target::attach)
    found.emplace(kUnknownTarget, "(unknown)");
  found.emplace(fresh(is_place && family.place == Place::cgroup ? "/" : ""),
                names.empty() ? "" : "(other)");
  std::vector<Candidate> all;
  for (auto& [name, text] : found) all.push_back({name, text});
  return all;
}

string place_text(const AttachFamily& family, const string& target, const string& place) {
  string text(family.name);
  if (family.target != Target::none) text += "/" + (target.empty() ? "*" : target);
  return place.empty() ? text : text + "@" + place;
}

// Names about which the images say the same.
struct NameClass {
  NameVerdicts verdicts;
  std::vector<Candidate> names;
};

std::vector<NameClass> name_classes(const DiffSides& sides, size_t family, bool is_place) {
  const AttachFamily& kind = attach_families()[family];
  const bool is_none = is_place ? kind.place == Place::none : kind.target == Target::none;
  std::map<NameVerdicts, size_t> known;
  std::vector<NameClass> classes;
  for (Candidate& name :
       is_none ? std::vector<Candidate>{{}} : candidates(sides, family, is_place)) {
    const AttachPoint attach = {family, is_place ? "" : name.name, is_place ? name.name : ""};
    const NameVerdicts verdicts = look_up(sides, attach, is_place ? BW_NAME_PLACE : BW_NAME_TARGET);
    const auto [entry, is_new] = known.emplace(verdicts, classes.size());
    if (is_new) classes.push_back({verdicts, {}});
    classes[entry->second].names.push_back(std::move(name));
  }
  return classes;
}

RulePair both_pairs(const RulePair& left, const RulePair& right) {
  return {both(left[0], right[0]), both(left[1], right[1])};
}

class Collected {
 public:
  // Every combination of names of a target and of a place is one attach point.
  void add(size_t number, const NameClass& target, const NameClass& place) {
    const AttachFamily& family = attach_families()[number];
    PlaceClass one;
    one.is_loader = family.prog_type == BPF_PROG_TYPE_SYSCALL;
    one.load = both_pairs(target.verdicts.load, place.verdicts.load);
    one.named = both_pairs(target.verdicts.named, place.verdicts.named);
    one.attach = both_pairs(target.verdicts.attach, place.verdicts.attach);
    std::map<bw_cause, size_t> classes;
    for (const Candidate& name : target.names) {
      one.representative = {number, name.name, place.names.front().name};
      one.guard = guard_of(one.representative);
      if (!classes.contains(one.guard)) classes[one.guard] = class_of(one);
      PlaceClass& found = classes_[classes[one.guard]];
      for (const Candidate& at : place.names)
        if (found.texts.size() < kMaxTexts)
          found.texts.push_back(place_text(family, name.text, at.text));
        else
          found.more++;
    }
  }

  std::vector<PlaceClass> take() { return std::move(classes_); }

 private:
  using Key = std::tuple<bool, bw_cause, RulePair, RulePair, RulePair>;

  size_t class_of(const PlaceClass& one) {
    const auto [entry, is_new] = known_.emplace(
        Key{one.is_loader, one.guard, one.load, one.named, one.attach}, classes_.size());
    if (is_new) classes_.push_back(one);
    return entry->second;
  }

  std::map<Key, size_t> known_;
  std::vector<PlaceClass> classes_;
};

}  // namespace

Situation situation_at(const AttachPoint& attach) {
  Situation situation;
  situation.attach = attach;
  situation.guard = guard_of(attach);
  situation.is_target_unknown = attach.target == kUnknownTarget;
  return situation;
}

std::vector<PlaceClass> place_classes(const DiffSides& sides) {
  Collected collected;
  for (size_t i = 0; i < attach_families().size(); i++) {
    if (is_seen_as_another(i)) continue;
    const std::vector<NameClass> places = name_classes(sides, i, true);
    for (const NameClass& target : name_classes(sides, i, false))
      for (const NameClass& place : places) collected.add(i, target, place);
  }
  return collected.take();
}

}  // namespace bpfwarden::policy
