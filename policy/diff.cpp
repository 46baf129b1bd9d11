#include "policy/diff.h"

#include <algorithm>
#include <map>
#include <optional>

#include "policy/explain.h"
#include "policy/wording.h"

namespace bpfwarden::policy {
namespace {

using std::string;

using Pair = std::array<bw_decision, 2>;  // old, new

Pair decide_pair(const DiffSides& sides, const AttachPoint& place, const WhoClass& who) {
  Pair pair;
  for (size_t i = 0; i < 2; i++) {
    Situation situation = who.representatives[i];
    situation.attach = place;
    pair[i] = decide_on(sides[i].image, situation).last();
  }
  return pair;
}

std::optional<Change> change_of(const Pair& pair) {
  const bool allowed[] = {pair[0].allow != 0, pair[1].allow != 0};
  const bool refused[] = {bw_refused(&pair[0]) != 0, bw_refused(&pair[1]) != 0};
  if ((!allowed[0] && allowed[1]) || (refused[0] && !refused[1])) return Change::widened;
  if (allowed[0] != allowed[1] || refused[0] != refused[1]) return Change::narrowed;
  return std::nullopt;
}

string decision_text(const DiffSide& side, const bw_decision& decision) {
  string text =
      (decision.allow != 0 ? "allowed by " : "denied by ") + decider_text(side.policy, decision);
  if (decision.allow == 0) text += decision.mode == BW_MODE_ENFORCE ? ", enforced" : ", audit only";
  return text;
}

bool same_decider(const DiffSides& sides, const Pair& pair) {
  const auto name = [&](size_t i) {
    return pair[i].rule == BW_NO_RULE ? string() : sides[i].policy.rules[pair[i].rule].name;
  };
  return pair[0].cause == pair[1].cause && name(0) == name(1);
}

// What makes changes one group: what decided, before and after.
struct GroupKey {
  Change change;
  string before, after;
  std::vector<size_t> who;  // the classes, so that a group is a whole box of places and loads

  auto operator<=>(const GroupKey&) const = default;
};

struct Collected {
  std::vector<size_t> places;
};

using Groups = std::map<GroupKey, Collected>;

// The changes at one place, by what decided.
Groups changes_at(const DiffSides& sides, const DiffSpace& space, size_t place, PolicyDiff& diff) {
  std::map<std::tuple<Change, string, string>, std::vector<size_t>> found;
  for (size_t i = 0; i < space.who.size(); i++) {
    const Pair pair = decide_pair(sides, space.places[place].representative, space.who[i]);
    const auto change = change_of(pair);
    diff.classes++;
    diff.changed += change.has_value();
    diff.other_rule += !change && !same_decider(sides, pair);
    if (change)
      found[{*change, decision_text(sides[0], pair[0]), decision_text(sides[1], pair[1])}]
          .push_back(i);
  }
  Groups groups;
  for (auto& [what, who] : found) {
    const auto& [change, before, after] = what;
    groups[{change, before, after, std::move(who)}].places.push_back(place);
  }
  return groups;
}

// ---- In words -----------------------------------------------------------------------------------

// "signed" options of one signer in one: "prog-only by x", "prog-used-maps by x" are "signed by x".
std::vector<string> joined_signers(const std::vector<string>& values) {
  std::vector<string> joined;
  for (const string& value : values) {
    const string only = "prog-only by ", used = "prog-used-maps by ";
    if (value.starts_with(used)) {
      const string twin = only + value.substr(used.size());
      const auto found = std::find(joined.begin(), joined.end(), twin);
      if (found != joined.end()) {
        *found = "signed by " + value.substr(used.size());
        continue;
      }
    }
    joined.push_back(value);
  }
  return joined;
}

string property_text(const Property& property, const std::vector<bool>& present) {
  std::vector<string> values;
  for (size_t i = 0; i < present.size(); i++)
    if (present[i]) values.push_back(property.values[i]);
  if (values.size() == present.size()) return {};  // whatever it is
  string text = property.name;
  for (const string& value : joined_signers(values))
    text += (text.empty() ? "" : text == property.name ? " " : ", ") + value;
  return text;
}

double combinations(const std::vector<std::vector<bool>>& present) {
  double product = 1;
  for (const auto& values : present)
    product *= static_cast<double>(std::count(values.begin(), values.end(), true));
  return product;
}

std::vector<string> who_texts(const DiffSpace& space, const std::vector<size_t>& who) {
  std::vector<std::vector<bool>> present;
  for (const Property& property : space.properties) present.emplace_back(property.values.size());
  double covered = 0;
  bool is_exact = true;
  for (const size_t index : who) {
    const WhoClass& one = space.who[index];
    is_exact = is_exact && one.is_exact;
    covered += combinations(one.values);
    for (size_t i = 0; i < present.size(); i++)
      for (size_t n = 0; n < present[i].size(); n++)
        if (one.values[i][n]) present[i][n] = true;
  }
  std::vector<string> texts;
  for (size_t i = 0; i < present.size(); i++) {
    string text = property_text(space.properties[i], present[i]);
    if (!text.empty()) texts.push_back(std::move(text));
  }
  if (!is_exact || covered < combinations(present)) texts.emplace_back("not in every combination");
  return texts;
}

DiffGroup group_of(const DiffSpace& space, const GroupKey& key, const Collected& collected) {
  DiffGroup group = {key.change, {}, who_texts(space, key.who), key.before, key.after, {}};
  for (const size_t place : collected.places)
    group.places.insert(group.places.end(), space.places[place].texts.begin(),
                        space.places[place].texts.end());
  std::sort(group.places.begin(), group.places.end());
  group.example = space.who[key.who.front()].representatives;
  for (Situation& situation : group.example)
    situation.attach = space.places[collected.places.front()].representative;
  return group;
}

}  // namespace

bool PolicyDiff::widens() const {
  return std::any_of(groups.begin(), groups.end(),
                     [](const DiffGroup& group) { return group.change == Change::widened; });
}

Result<PolicyDiff> diff_policies(const DiffSides& sides, int64_t now) {
  const auto space = diff_space(sides, now);
  if (!space) return std::unexpected(space.error());
  PolicyDiff diff;
  Groups groups;
  for (size_t place = 0; place < space->places.size(); place++)
    for (auto& [key, collected] : changes_at(sides, *space, place, diff)) {
      std::vector<size_t>& places = groups[key].places;
      places.insert(places.end(), collected.places.begin(), collected.places.end());
    }
  for (const auto& [key, collected] : groups)
    diff.groups.push_back(group_of(*space, key, collected));
  return diff;
}

}  // namespace bpfwarden::policy
