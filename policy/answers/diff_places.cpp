#include "policy/answers/diff_places.h"

#include <linux/bpf.h>

#include <algorithm>
#include <map>

#include "policy/image/family_table.h"

namespace bpfwarden::policy {
namespace {

using std::string;

struct PlaceVerdicts {
  std::vector<RuleWords> sets;
  RuleWords may = {};  // the rules that may have a say, at load or at attach
  RuleWords settled;   // those that match for certain, at both
};

// What the image says about target and place, at load and at attach.
PlaceVerdicts look_up(const bw_image& image, const AttachPoint& attach) {
  PlaceVerdicts found;
  found.settled.fill(~uint64_t{0});
  Situation situation;
  situation.attach = attach;
  for (const bw_stage stage : {BW_STAGE_LOAD, BW_STAGE_ATTACH}) {
    bw_facts facts = facts_of(situation, stage);
    facts.load_class =
        static_cast<uint16_t>(bw_class_of(&image, facts.prog_type, facts.attach_type));
    RuleWords may;
    may.fill(~uint64_t{0});
    for (const uint32_t dimension : {BW_NAME_TARGET, BW_NAME_PLACE}) {
      const bw_match_sets sets = bw_look_up(&image, &facts, dimension);
      found.sets.push_back(words_of(image.vectors[sets.sure]));
      found.settled = both(found.settled, found.sets.back());
      found.sets.push_back(words_of(image.vectors[sets.may]));
      may = both(may, found.sets.back());
    }
    found.may = either(found.may, may);
  }
  return found;
}

// As bw_match() in bpf-lsm/decide.h.
RuleWords children_rules(const bw_image& image) {
  return both(words_of(image.allow),
              both(words_of(image.keyed), words_of(image.origin[BW_ORIGIN_LOADER])));
}

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

void add_candidates(const TextMatch& match, std::map<string, string>& found) {
  if (match.match == TargetMatch::exact) found.emplace(match.text, match.text);
  if (match.match == TargetMatch::prefix) found.emplace(fresh_name(match.text), match.text + "*");
}

// The names of one family that either policy gives, and one that neither does.
std::vector<Candidate> candidates(const DiffSides& sides, size_t family, bool is_place) {
  std::map<string, string> found;
  for (const DiffSide& side : sides)
    for (const Rule& rule : side.policy.rules)
      for (const AttachEntry& entry : rule.attach) {
        if (is_place && entry.pattern.families.test(family))
          add_candidates(entry.pattern.place, found);
        for (const TextMatch& target :
             is_place ? std::vector<TextMatch>() : targets_in(entry, rule.action, family))
          add_candidates(target, found);
      }
  std::vector<Candidate> names;
  for (auto& [name, text] : found) names.push_back({name, text});
  const bool is_path = is_place && attach_families()[family].place == Place::cgroup;
  if (is_place && !names.empty()) names.push_back({"", "(unknown)"});
  names.push_back({fresh_name(is_path ? "/" : ""), names.empty() ? "" : "(other)"});
  return names;
}

string place_text(const AttachFamily& family, const string& target, const string& place) {
  string text(family.name);
  if (family.target != Target::none) text += "/" + (target.empty() ? "*" : target);
  return place.empty() ? text : text + "@" + place;
}

// Every attach point of a family that has to be asked about, with its pattern.
template <class Visit>
void for_each_place(const DiffSides& sides, size_t number, Visit visit) {
  const AttachFamily& family = attach_families()[number];
  for (const Candidate& target : candidates(sides, number, false))
    for (const Candidate& place : candidates(sides, number, true))
      visit({number, family.target == Target::none ? "" : target.name,
             family.place == Place::none ? "" : place.name},
            place_text(family, target.text, family.place == Place::none ? "" : place.text));
}

}  // namespace

std::vector<PlaceClass> place_classes(const DiffSides& sides) {
  std::map<std::vector<RuleWords>, size_t> known;
  std::vector<PlaceClass> classes;
  const auto add = [&](const AttachPoint& attach, string text) {
    const AttachFamily& family = attach_families()[attach.family];
    PlaceClass place = {attach, family.prog_type == BPF_PROG_TYPE_SYSCALL, {}, {}, {}, {}};
    std::vector<RuleWords> key = {RuleWords{place.is_loader}, RuleWords{guard_of(attach)}};
    for (size_t i = 0; i < 2; i++) {
      PlaceVerdicts found = look_up(sides[i].image, attach);
      key.insert(key.end(), found.sets.begin(), found.sets.end());
      place.rules[i] = found.may;
      place.settled[i] = found.settled;
      if (place.is_loader) place.children[i] = children_rules(sides[i].image);
    }
    const auto [entry, is_new] = known.emplace(std::move(key), classes.size());
    if (is_new) classes.push_back(std::move(place));
    classes[entry->second].texts.push_back(std::move(text));
  };
  for (size_t i = 0; i < attach_families().size(); i++)
    if (!is_seen_as_another(i)) for_each_place(sides, i, add);
  return classes;
}

}  // namespace bpfwarden::policy
