#include "policy/diff_space.h"

#include <linux/bpf.h>

#include <algorithm>
#include <map>

#include "policy/diff_parts.h"

namespace bpfwarden::policy {
namespace {

using std::string;

// What the image says about target and place, at load and at attach.
void add_key(const bw_image& image, const Situation& situation, std::vector<RuleWords>& key) {
  for (const bw_stage stage : {BW_STAGE_LOAD, BW_STAGE_ATTACH}) {
    bw_facts facts = facts_of(situation, stage);
    facts.load_class =
        static_cast<uint16_t>(bw_class_of(&image, facts.prog_type, facts.attach_type));
    for (const uint32_t dimension : {BW_NAME_TARGET, BW_NAME_PLACE}) {
      const bw_match_sets sets = bw_look_up(&image, &facts, dimension);
      key.push_back(words_of(image.vectors[sets.sure]));
      key.push_back(words_of(image.vectors[sets.may]));
    }
  }
}

// A name to ask about, and the pattern that it stands for.
struct Candidate {
  string name;
  string text;
};

void add_candidates(const TextMatch& match, std::map<string, string>& found) {
  if (match.match == TargetMatch::exact) found.emplace(match.text, match.text);
  if (match.match == TargetMatch::prefix) found.emplace(fresh_name(match.text), match.text + "*");
}

// The names of one family that either policy gives, and one that neither does.
std::vector<Candidate> candidates(const DiffSides& sides, size_t family,
                                  TextMatch AttachPattern::* part) {
  std::map<string, string> found;
  for (const DiffSide& side : sides)
    for (const Rule& rule : side.policy.rules)
      for (const AttachEntry& entry : rule.attach)
        if (entry.pattern.families.test(family)) add_candidates(entry.pattern.*part, found);
  std::vector<Candidate> names;
  for (auto& [name, text] : found) names.push_back({name, text});
  const bool is_path =
      part == &AttachPattern::place && attach_families()[family].place == Place::cgroup;
  names.push_back({fresh_name(is_path ? "/" : ""), names.empty() ? "" : "…"});
  return names;
}

string place_text(const AttachFamily& family, const string& target, const string& place) {
  string text(family.name);
  if (family.target != Target::none) text += "/" + (target.empty() ? "*" : target);
  return place.empty() ? text : text + "@" + place;
}

}  // namespace

std::vector<PlaceClass> place_classes(const DiffSides& sides) {
  std::map<std::vector<RuleWords>, size_t> known;
  std::vector<PlaceClass> classes;
  for (size_t i = 0; i < attach_families().size(); i++) {
    const AttachFamily& family = attach_families()[i];
    for (const Candidate& target : candidates(sides, i, &AttachPattern::target))
      for (const Candidate& place : candidates(sides, i, &AttachPattern::place)) {
        Situation situation;
        situation.attach = {i, family.target == Target::none ? "" : target.name,
                            family.place == Place::none ? "" : place.name};
        std::vector<RuleWords> key = {RuleWords{family.prog_type == BPF_PROG_TYPE_SYSCALL}};
        for (const DiffSide& side : sides) add_key(side.image, situation, key);
        const auto [entry, is_new] = known.emplace(std::move(key), classes.size());
        if (is_new) classes.push_back({situation.attach, {}});
        classes[entry->second].texts.push_back(
            place_text(family, target.text, family.place == Place::none ? string() : place.text));
      }
  }
  return classes;
}

RuleWords words_of(const bw_vector& vector) {
  RuleWords words;
  std::copy(std::begin(vector.words), std::end(vector.words), words.begin());
  return words;
}

string fresh_name(string beginning) {
  constexpr size_t longest = BW_NAME_SIZE - 1;
  if (beginning.size() < longest) beginning += '\x01';
  return beginning;
}

Result<DiffSpace> diff_space(const DiffSides& sides, int64_t now) {
  auto who = who_classes(sides, now);
  if (!who) return std::unexpected(std::move(who.error()));
  return DiffSpace{place_classes(sides), std::move(who->properties), std::move(who->classes)};
}

}  // namespace bpfwarden::policy
