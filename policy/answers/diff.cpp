#include "policy/answers/diff.h"

#include <algorithm>
#include <map>
#include <optional>

#include "policy/answers/diff_settings.h"
#include "policy/answers/diff_who.h"
#include "policy/answers/explain.h"
#include "policy/text/wording.h"

namespace bpfwarden::policy {
namespace {

using std::string;

using Pair = std::array<bw_decision, 2>;  // old, new

Pair decide_pair(const DiffSides& sides, const AttachPoint& place, const WhoClass& who) {
  Pair pair = {};
  for (size_t i = 0; i < 2; i++) {
    Situation situation = who.representatives[i];
    situation.attach = place;
    situation.guard = guard_of(place);
    pair[i] = decide_on(sides[i].image, situation).last();
  }
  return pair;
}

std::optional<Change> change_of(const Pair& pair) {
  const auto& [before, after] = pair;
  const bool was_refused = bw_refused(&before) != 0, is_refused = bw_refused(&after) != 0;
  if (before.allow < after.allow || (was_refused && !is_refused)) return Change::widened;
  if (before.allow != after.allow || was_refused != is_refused) return Change::narrowed;
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

// What is refused to whoever is alone is refused to threads, too.
Pair decide_pair_for_threads(const DiffSides& sides, const Pair& pair, const WhoClass& who) {
  Pair for_threads = pair;
  for (size_t i = 0; i < 2; i++)
    if (bw_refused(&pair[i]) == 0)
      for_threads[i] = decide_for_threads(sides[i].image, pair[i], who.representatives[i].time);
  return for_threads;
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

string values_text(const Property& property, const std::vector<string>& values) {
  string text = property.name;
  for (const string& value : joined_signers(values))
    text += (text.empty() ? "" : text == property.name ? " " : ", ") + value;
  return text;
}

// Empty: whatever it is.
string property_text(const Property& property, const std::vector<bool>& present) {
  std::vector<string> values;
  for (size_t i = 0; i < present.size(); i++)
    if (present[i]) values.push_back(property.values[i].text);
  return values.size() == present.size() ? string() : values_text(property, values);
}

// The representative of a class.
string example_text(const std::vector<Property>& properties, const WhoClass& who) {
  string text;
  for (size_t i = 0; i < properties.size(); i++)
    text += (i == 0 ? "" : ", ") +
            values_text(properties[i], {properties[i].values[who.example[i]].text});
  return text;
}

double combinations(const std::vector<std::vector<bool>>& present) {
  double product = 1;
  for (const auto& values : present)
    product *= static_cast<double>(std::count(values.begin(), values.end(), true));
  return product;
}

// What the classes have in common: for each property the values that occur in them.
std::vector<string> who_texts(const std::vector<Property>& properties,
                              const std::vector<const WhoClass*>& classes) {
  std::vector<std::vector<bool>> present;
  for (const Property& property : properties) present.emplace_back(property.values.size());
  double covered = 0;
  bool is_exact = true;
  for (const WhoClass* one : classes) {
    is_exact = is_exact && one->is_exact;
    covered += combinations(one->values);
    for (size_t i = 0; i < present.size(); i++)
      for (size_t n = 0; n < present[i].size(); n++)
        if (one->values[i][n]) present[i][n] = true;
  }
  std::vector<string> texts;
  for (size_t i = 0; i < present.size(); i++) {
    string text = property_text(properties[i], present[i]);
    if (!text.empty()) texts.push_back(std::move(text));
  }
  if (!is_exact || covered < combinations(present))
    texts.push_back("not in every combination, for example " +
                    example_text(properties, *classes.front()));
  return texts;
}

// ---- Collected ----------------------------------------------------------------------------------

// What makes changes one group.
struct GroupKey {
  Change change;
  string before, after;
  std::vector<string> who;

  auto operator<=>(const GroupKey&) const = default;
};

using Groups = std::map<GroupKey, DiffGroup>;
using Found = std::map<std::tuple<Change, string, string>, std::vector<const WhoClass*>>;

struct FoundAt {
  Found answers, threads;
};

struct AllGroups {
  Groups answers, threads;
};

void find_for_threads(const DiffSides& sides, const Pair& pair, const WhoClass& who, Found& found) {
  const Pair for_threads = decide_pair_for_threads(sides, pair, who);
  const auto change = change_of(for_threads);
  if (!change) return;
  const auto text = [&](size_t i) {
    return decision_text(sides[i], pair[i]) + ", " + threads_text(sides[i].image, for_threads[i]);
  };
  found[{*change, text(0), text(1)}].push_back(&who);
}

// The changes at one class of places, by what decided.
FoundAt changes_at(const DiffSides& sides, const PlaceClass& place,
                   const std::vector<WhoClass>& classes, PolicyDiff& diff) {
  FoundAt found;
  for (const WhoClass& who : classes) {
    const Pair pair = decide_pair(sides, place.representative, who);
    const auto change = change_of(pair);
    diff.classes++;
    diff.changed += change.has_value();
    diff.other_rule += !change && !same_decider(sides, pair);
    if (change)
      found.answers[{*change, decision_text(sides[0], pair[0]), decision_text(sides[1], pair[1])}]
          .push_back(&who);
    else
      find_for_threads(sides, pair, who, found.threads);
  }
  return found;
}

void add_to_groups(const std::vector<Property>& properties, const PlaceClass& place,
                   const Found& found, Groups& groups) {
  for (const auto& [what, classes] : found) {
    const auto& [change, before, after] = what;
    GroupKey key = {change, before, after, who_texts(properties, classes)};
    DiffGroup& group = groups[key];
    if (group.places.empty()) {
      group = {change, {}, key.who, before, after, classes.front()->representatives};
      for (Situation& situation : group.example) situation.attach = place.representative;
    }
    group.places.insert(group.places.end(), place.texts.begin(), place.texts.end());
  }
}

std::vector<DiffGroup> sorted(Groups groups) {
  std::vector<DiffGroup> all;
  for (auto& [key, group] : groups) {
    std::sort(group.places.begin(), group.places.end());
    all.push_back(std::move(group));
  }
  return all;
}

std::vector<SettingChange> changed_settings(const DiffSides& sides, int64_t now) {
  const Pair pair = {decide_token(sides[0].image, now), decide_token(sides[1].image, now)};
  const auto change = change_of(pair);
  if (!change) return {};
  return {{*change, "bpf-tokens", token_text(pair[0]), token_text(pair[1])}};
}

bool is_widened(const auto& changes) {
  return std::any_of(changes.begin(), changes.end(),
                     [](const auto& one) { return one.change == Change::widened; });
}

}  // namespace

bool PolicyDiff::widens() const {
  return is_widened(groups) || is_widened(threads) || is_widened(settings);
}

Result<PolicyDiff> diff_policies(const DiffSides& sides, int64_t now) {
  const std::vector<Property> properties = properties_of(sides, now);
  PolicyDiff diff;
  AllGroups groups;
  for (const PlaceClass& place : place_classes(sides)) {
    const auto classes = who_classes(properties, place, now);
    if (!classes) return std::unexpected(classes.error());
    const FoundAt found = changes_at(sides, place, *classes, diff);
    add_to_groups(properties, place, found.answers, groups.answers);
    add_to_groups(properties, place, found.threads, groups.threads);
  }
  diff.groups = sorted(std::move(groups.answers));
  diff.threads = sorted(std::move(groups.threads));
  diff.settings = changed_settings(sides, now);
  return diff;
}

}  // namespace bpfwarden::policy
