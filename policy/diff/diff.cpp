#include "policy/diff/diff.h"

#include <algorithm>
#include <map>
#include <optional>

#include "policy/answers/explain.h"
#include "policy/diff/diff_grid.h"
#include "policy/diff/diff_settings.h"
#include "policy/diff/diff_witness.h"
#include "policy/diff/diff_words.h"
#include "policy/language/read_harden.h"
#include "policy/language/words.h"
#include "policy/text/wording.h"

namespace bpfwarden::policy {
namespace {

using std::string;

using Pair = std::array<bw_decision, 2>;  // old, new

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

// ---- One class of attach points -----------------------------------------------------------------

// What makes changes at one place one: the answers, to threads as well where only those changed.
struct FoundKey {
  Change change;
  bool is_for_threads;
  std::array<std::tuple<int, int, int, int, int>, 2> answers;

  auto operator<=>(const FoundKey&) const = default;
};

struct Found {
  Pair pair, for_threads;
  PropertyValues present;
  double count = 0;
  std::array<Situation, 2> example;
  std::vector<size_t> example_values;  // by dimension: of the property
};

using FoundHere = std::map<FoundKey, Found>;

class Changes {
 public:
  Changes(const DiffSides& sides, const std::vector<Property>& properties, const PlaceClass& place,
          const PlaceGrid& grid, int64_t now)
      : sides_(sides), properties_(properties), place_(place), grid_(grid), now_(now) {}

  void add(const GridCell& cell, PolicyDiff& diff) {
    Found found = found_in(cell);
    const double count = cell.count * grid_.combinations;
    const auto change = change_of(found.pair);
    diff.changed += change ? count : 0;
    diff.other_rule += !change && !same_decider(sides_, found.pair) ? count : 0;
    const auto for_threads = change ? std::nullopt : change_of(found.for_threads);
    if (!change && !for_threads) return;
    FoundKey key = {change ? *change : *for_threads, !change, {}};
    for (size_t i = 0; i < 2; i++) {
      const bw_decision& one = found.pair[i];
      key.answers[i] = {one.allow, one.mode, one.cause, one.rule,
                        change ? 0 : found.for_threads[i].cause * 2 + found.for_threads[i].mode};
    }
    const auto [entry, is_new] = found_.try_emplace(key, std::move(found));
    entry->second.count += cell.count;
    std::vector<Bits>& seen = seen_[key];
    seen.resize(cell.values.size());
    for (size_t i = 0; i < cell.values.size(); i++) add_seen(seen[i], cell.values[i]);
  }

  // By what they say: to be called once, at the end.
  FoundHere take() {
    for (auto& [key, found] : found_)
      for (size_t i = 0; i < grid_.dimensions.size(); i++)
        found.present.push_back(values_of(i, seen_[key][i]));
    return std::move(found_);
  }

 private:
  static void add_seen(Bits& into, const Bits& bits) {
    into.resize(bits.size());
    for (size_t i = 0; i < bits.size(); i++) into[i] |= bits[i];
  }

  // The values of the property that are among `seen`.
  [[nodiscard]] PresentValues values_of(size_t dimension, const Bits& seen) const {
    const PlaceDimension& known = grid_.dimensions[dimension];
    const Property& property = properties_[known.property];
    PresentValues present = {known.property, std::vector<bool>(property.values.size())};
    for (size_t i = 0; i < known.classes.size(); i++)
      if (has_bit(seen, i))
        for (const uint32_t one : known.classes[i])
          for (const uint32_t value : property.classes[one].values) present.values[value] = true;
    return present;
  }

  [[nodiscard]] Found found_in(const GridCell& cell) const {
    Found found;
    for (Situation& situation : found.example) {
      situation = situation_at(place_.representative);
      situation.time = now_;
    }
    for (const Property& property : properties_)
      for (size_t side = 0; property.must_be_said && side < 2; side++)
        property.values.front().set(found.example[side], side);
    for (size_t i = 0; i < cell.example.size(); i++) {
      const PlaceDimension& dimension = grid_.dimensions[i];
      const Property& property = properties_[dimension.property];
      const size_t value =
          property.classes[dimension.classes[cell.example[i]].front()].values.front();
      found.example_values.push_back(value);
      for (size_t side = 0; side < 2; side++) property.values[value].set(found.example[side], side);
    }
    for (size_t i = 0; i < 2; i++)
      found.pair[i] = decide_on(sides_[i].image, found.example[i]).last();
    found.for_threads = found.pair;
    for (size_t i = 0; i < 2;
         i++)  // what is refused to whoever is alone is refused to threads, too
      if (bw_refused(&found.pair[i]) == 0)
        found.for_threads[i] =
            decide_for_threads(sides_[i].image, found.pair[i], found.example[i].time);
    return found;
  }

  const DiffSides& sides_;
  const std::vector<Property>& properties_;
  const PlaceClass& place_;
  const PlaceGrid& grid_;
  int64_t now_;
  FoundHere found_;
  std::map<FoundKey, std::vector<Bits>> seen_;
};

// ---- Collected ----------------------------------------------------------------------------------

// What makes changes one group.
using GroupKey = std::tuple<FoundKey, std::vector<string>>;
using Groups = std::map<GroupKey, DiffGroup>;

void add_to_groups(const DiffSides& sides, const std::vector<Property>& properties,
                   const PlaceClass& place, FoundHere found_here, Groups& groups) {
  for (auto& [key, found] : found_here) {
    std::vector<string> who =
        who_texts(properties, found.present, found.count, found.example_values);
    DiffGroup& group = groups[{key, who}];
    if (group.places.empty()) {
      group.change = key.change;
      group.who = std::move(who);
      group.example = found.example;
      std::array<string, 2> texts;
      for (size_t i = 0; i < 2; i++) {
        texts[i] = decision_text(sides[i], found.pair[i]);
        if (key.is_for_threads)
          texts[i] += ", " + threads_text(sides[i].image, found.for_threads[i]);
      }
      group.before = texts[0];
      group.after = texts[1];
    }
    group.places.insert(group.places.end(), place.texts.begin(), place.texts.end());
    group.more_places += place.more;
  }
}

void add_groups(const DiffSides& sides, Groups groups, int64_t now, PolicyDiff& diff) {
  while (!groups.empty()) {
    auto node = groups.extract(groups.begin());
    DiffGroup& group = node.mapped();
    std::ranges::sort(group.places);
    for (size_t i = 0; i < 2; i++)
      group.witness[i] = explain_options(sides[i], group.example[i], now);
    const bool is_for_threads = std::get<0>(node.key()).is_for_threads;
    (is_for_threads ? diff.threads : diff.groups).push_back(std::move(group));
  }
}

std::vector<SettingChange> changed_settings(const DiffSides& sides, int64_t now) {
  std::vector<SettingChange> all;
  const auto add = [&](const string& setting, const Pair& pair) {
    if (const auto change = change_of(pair))
      all.push_back({*change, setting, token_text(pair[0]), token_text(pair[1])});
  };
  add("bpf-tokens", {decide_token(sides[0].image, now), decide_token(sides[1].image, now)});
  for (uint32_t one = 1; one < BW_HARDENINGS; one++)
    add("harden " + hardening_text(one),
        {decide_hardening(sides[0].image, one, now), decide_hardening(sides[1].image, one, now)});
  if (const auto change = change_of_kernels(sides[0].policy, sides[1].policy))
    all.push_back(
        {*change, "accept-kernel", kernels_text(sides[0].policy), kernels_text(sides[1].policy)});
  return all;
}

bool is_widened(const auto& changes) {
  return std::any_of(changes.begin(), changes.end(),
                     [](const auto& one) { return one.change == Change::widened; });
}

}  // namespace

namespace {

string policy_signers_text(const Policy& policy) {
  string names;
  for (const KeyReference& reference : policy.policy_signers.keys)
    names += (names.empty() ? "" : ", ") + reference.name;
  return names.empty() ? "nobody" : names;
}

std::vector<HeaderChange> changed_header(const DiffSides& sides) {
  std::vector<HeaderChange> all;
  const auto add = [&](const char* setting, const auto& text_of) {
    std::string before = text_of(sides[0].policy), after = text_of(sides[1].policy);
    if (before != after) all.push_back({setting, std::move(before), std::move(after)});
  };
  add("name", [](const Policy& policy) { return policy.name; });
  add("version", [](const Policy& policy) { return std::to_string(policy.version); });
  add("mode",
      [](const Policy& policy) { return std::string(spelling_of(kModeWords, policy.mode)); });
  add("default", [](const Policy& policy) {
    return std::string(policy.default_action == Action::allow ? "allow" : "deny");
  });
  add("seal", [](const Policy& policy) { return std::string(policy.seal ? "true" : "false"); });
  add("policy-signed-by", policy_signers_text);
  add("policy-signatures-needed",
      [](const Policy& policy) { return std::to_string(policy.policy_signers.needed); });
  return all;
}

}  // namespace

bool PolicyDiff::widens() const {
  return is_widened(groups) || is_widened(threads) || is_widened(settings);
}

PolicyDiff diff_policies(const DiffSides& sides, int64_t now, const DiffLimits& limits) {
  const std::vector<Property> properties = properties_of(sides, now);
  const GridMaker grids(sides, properties);
  PolicyDiff diff;
  Groups groups;
  SearchBudget budget{limits.steps};
  for (const PlaceClass& place : place_classes(sides)) {
    diff.classes += grids.combinations();
    const auto grid = grids.at(place);
    if (!grid) continue;
    const double not_asked = budget.not_asked;
    Changes here(sides, properties, place, *grid, now);
    search(grid->grid, budget, [&](const GridCell& cell) { here.add(cell, diff); });
    diff.not_asked += (budget.not_asked - not_asked) * grid->combinations;
    add_to_groups(sides, properties, place, here.take(), groups);
  }
  add_groups(sides, std::move(groups), now, diff);
  diff.settings = changed_settings(sides, now);
  diff.header = changed_header(sides);
  return diff;
}

}  // namespace bpfwarden::policy
