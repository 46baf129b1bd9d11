#include "policy/diff/diff_grid.h"

#include <algorithm>
#include <map>

#include "policy/diff/diff_same.h"

namespace bpfwarden::policy {

constexpr size_t kStages = 2;  // by bw_stage

// Of one property, of one image at one stage: which rules ask about it, and for which values.
struct Asked {
  RuleWords always = all_rules();              // content with every value
  RuleWords ever = {};                         // content with some
  std::vector<std::vector<uint32_t>> classes;  // by rule that is not content with every one
};

using AskedBySide = std::array<std::array<Asked, kStages>, 2>;

namespace {

const RulePair& at_stage(const Verdicts& verdicts, size_t stage) {
  return stage == BW_STAGE_LOAD ? verdicts.load : verdicts.attach;
}

enum class ItemKind : uint8_t { denied_digest, rule, child, mode, end };

struct Item {
  ItemKind kind;
  uint32_t rule;
  uint8_t side, stage;
  size_t bit = 0;
};

Asked asked_about(const Property& property, size_t side, size_t stage) {
  Asked asked;
  for (const ValueClass& one : property.classes) {
    const RuleWords& rules = at_stage(one.verdicts, stage)[side];
    asked.always = both(asked.always, rules);
    asked.ever = either(asked.ever, rules);
  }
  asked.classes.resize(BW_MAX_RULES);
  for (uint32_t i = 0; i < property.classes.size(); i++) {
    const RuleWords rules =
        without(at_stage(property.classes[i].verdicts, stage)[side], asked.always);
    for (uint32_t rule = 0; rule < BW_MAX_RULES; rule++)
      if (rules[rule / 64] == 0)
        rule |= 63;
      else if (has_rule(rules, rule))
        asked.classes[rule].push_back(i);
  }
  return asked;
}

// Whether a rule that admits a loader for what it may load asks about it, as in bw_match().
bool counts_for_children(const Property& property) {
  return property.kind == Property::Kind::subject || property.kind == Property::Kind::signer ||
         property.kind == Property::Kind::date;
}

RuleWords children_rules(const bw_image& image) {
  return both(words_of(image.allow),
              both(words_of(image.keyed), words_of(image.origin[BW_ORIGIN_LOADER])));
}

uint8_t flags_of(const Verdicts& verdicts) {
  return static_cast<uint8_t>(verdicts.enforces[0] | (verdicts.enforces[1] << 1));
}

bool has_denied_digests(const Property& property, size_t side) {
  return std::ranges::any_of(property.classes, [&](const ValueClass& one) {
    return one.verdicts.is_denied_digest[side] != 0;
  });
}

}  // namespace

class GridMaker::Rules {
 public:
  Rules(const DiffSides& sides, const std::vector<Property>& properties)
      : sides_(sides), properties_(properties), same_(sides, properties) {
    for (auto& by_stage : never_)
      for (RuleWords& rules : by_stage) rules = {};
    for (auto& by_stage : always_)
      for (RuleWords& rules : by_stage) rules = all_rules();
    for (const Property& property : properties) {
      AskedBySide& asked = asked_.emplace_back();
      for (size_t side = 0; side < 2; side++)
        for (size_t stage = 0; stage < kStages; stage++) {
          asked[side][stage] = asked_about(property, side, stage);
          always_[side][stage] = both(always_[side][stage], asked[side][stage].always);
          never_[side][stage] =
              either(never_[side][stage], without(all_rules(), asked[side][stage].ever));
        }
      if (property.kind == Property::Kind::digest)
        for (size_t side = 0; side < 2; side++)
          denies_digests_[side] = has_denied_digests(property, side);
    }
  }

  [[nodiscard]] std::optional<PlaceGrid> at(const PlaceClass& place) const {
    std::vector<Item> items;
    PlaceGrid made;
    for (uint8_t side = 0; side < 2; side++) {
      made.grid.sides[side].load = add_list(place, side, BW_STAGE_LOAD, items, made.grid);
      made.grid.sides[side].attach = add_list(place, side, BW_STAGE_ATTACH, items, made.grid);
    }
    describe(place, items, made.grid);
    if (std::ranges::all_of(made.grid.differing, [](uint64_t word) { return word == 0; }))
      return std::nullopt;
    add_dimensions(items, made);
    return made;
  }

  [[nodiscard]] double combinations() const {
    double product = 1;
    for (const Property& property : properties_) product *= count_of(property);
    return product;
  }

 private:
  static double count_of(const Property& property) {
    return property.classes.size() < 2 ? 1 : static_cast<double>(property.values.size());
  }

  [[nodiscard]] bool is_in(const RuleWords& rules, uint8_t side, size_t stage,
                           uint32_t rule) const {
    return has_rule(rules, rule) && !has_rule(never_[side][stage], rule);
  }

  // In the order in which they are asked. Ends with the first that matches whatever comes.
  GridList add_list(const PlaceClass& place, uint8_t side, uint8_t stage, std::vector<Item>& items,
                    Grid& grid) const {
    const bw_image& image = sides_[side].image;
    const GridList none = {grid.words, grid.words};
    const bool is_guarded = place.guard != BW_CAUSE_RULE;
    if (stage == BW_STAGE_ATTACH && ((image.flags & BW_IMAGE_ATTACH) == 0 || is_guarded))
      return none;
    size_t bit = grid.words * 64;
    const auto add = [&](ItemKind kind, uint32_t rule) {
      items.push_back({kind, rule, side, stage, bit++});
    };
    if (is_guarded || !add_rules(place, side, stage, add)) add(ItemKind::end, 0);
    grid.words = (bit + 63) / 64;
    return {none.first_word, grid.words};
  }

  // True where one of them matches whatever comes.
  bool add_rules(const PlaceClass& place, uint8_t side, uint8_t stage, const auto& add) const {
    const bw_image& image = sides_[side].image;
    const bool at_load = stage == BW_STAGE_LOAD;
    if (at_load && denies_digests_[side]) add(ItemKind::denied_digest, 0);
    const RuleWords& deciding = at_load ? place.load[side] : place.attach[side];
    const RuleWords& named = at_load ? place.named[side] : place.attach[side];
    const RuleWords children = place.is_loader ? children_rules(image) : RuleWords{};
    for (uint32_t rule = 0; rule < image.rule_count; rule++) {
      const bool is_item = is_in(deciding, side, stage, rule);
      if (is_item) add(ItemKind::rule, rule);
      if (is_item && has_rule(always_[side][stage], rule)) return true;
      if (has_rule(children, rule)) add(ItemKind::child, rule);
    }
    const RuleWords with_mode = both(named, either(words_of(image.audit), words_of(image.enforce)));
    for (uint32_t rule = 0; rule < image.rule_count; rule++)
      if (has_rule(with_mode, rule)) add(ItemKind::mode, rule);
    return false;
  }

  [[nodiscard]] bool differs(const PlaceClass& place, const Item& item) const {
    const size_t other = 1 - item.side;
    const bool at_load = item.stage == BW_STAGE_LOAD;
    const auto twin = same_.twin(item.side, item.rule);
    const auto is_there = [&](const RulePair& load) {
      return twin && has_rule(at_load ? load[other] : place.attach[other], *twin);
    };
    switch (item.kind) {
      case ItemKind::denied_digest:
        return !same_.digests();
      case ItemKind::rule:
        return !is_there(place.load);
      case ItemKind::child:
        return !twin;
      case ItemKind::mode:
        return !is_there(place.named) || !same_.defaults();
      default:
        return place.guard == BW_CAUSE_RULE && !same_.defaults();
    }
  }

  void describe(const PlaceClass& place, const std::vector<Item>& items, Grid& grid) const {
    grid.items.assign(grid.words, 0);
    grid.allows_load.assign(grid.words, 0);
    grid.differing.assign(grid.words, 0);
    for (const Item& item : items) {
      const bw_image& image = sides_[item.side].image;
      set_bit(grid.items, item.bit);
      const bool is_default = item.kind == ItemKind::mode || item.kind == ItemKind::end;
      const bool allows = item.kind == ItemKind::denied_digest ? false
                          : is_default ? image.default_allow == 1 && place.guard == BW_CAUSE_RULE
                                       : has_rule(words_of(image.allow), item.rule);
      if (item.stage == BW_STAGE_LOAD && allows) set_bit(grid.allows_load, item.bit);
      if (!same_.comparable() || differs(place, item)) set_bit(grid.differing, item.bit);
    }
  }

  // The classes of the property's values that an item is content with; none: with all.
  [[nodiscard]] std::optional<std::vector<uint32_t>> asked_by(const Item& item,
                                                              size_t number) const {
    const Property& property = properties_[number];
    const Asked& asked = asked_[number][item.side][item.stage];
    const auto chosen = [&](auto is_met) {
      std::vector<uint32_t> classes;
      for (uint32_t i = 0; i < property.classes.size(); i++)
        if (is_met(property.classes[i].verdicts)) classes.push_back(i);
      return classes;
    };
    if (item.kind == ItemKind::end) return std::nullopt;
    if (item.kind == ItemKind::denied_digest) {
      if (property.kind != Property::Kind::digest) return std::nullopt;
      return chosen([&](const Verdicts& one) { return one.is_denied_digest[item.side] != 0; });
    }
    if (item.kind == ItemKind::mode && property.kind != Property::Kind::date) return std::nullopt;
    if (item.kind == ItemKind::child && !counts_for_children(property)) return std::nullopt;
    if (item.kind == ItemKind::child && property.kind == Property::Kind::signer)
      return chosen([&](const Verdicts& one) {
        return one.is_known_signer[item.side] != 0 &&
               has_rule(at_stage(one, item.stage)[item.side], item.rule);
      });
    if (has_rule(asked.always, item.rule)) return std::nullopt;
    return asked.classes[item.rule];
  }

  // Those with most items that ask about them come first: behind them, few are left.
  void add_dimensions(const std::vector<Item>& items, PlaceGrid& made) const {
    std::vector<std::pair<size_t, size_t>> order;  // items that ask, property
    std::vector<std::pair<GridDimension, PlaceDimension>> found;
    for (size_t i = 0; i < properties_.size(); i++) {
      size_t asking = 0;
      auto dimension = dimension_of(items, i, made.grid.words, asking);
      if (dimension.first.values.size() < 2 && asking == 0) {
        made.combinations *= count_of(properties_[i]);
        continue;
      }
      order.emplace_back(asking, found.size());
      found.push_back(std::move(dimension));
    }
    std::ranges::stable_sort(order, std::ranges::greater(),
                             [](const auto& one) { return one.first; });
    for (const auto& [asking, number] : order) {
      made.grid.dimensions.push_back(std::move(found[number].first));
      made.dimensions.push_back(std::move(found[number].second));
    }
  }

  [[nodiscard]] std::pair<GridDimension, PlaceDimension> dimension_of(
      const std::vector<Item>& items, size_t number, size_t words, size_t& asking) const {
    const Property& property = properties_[number];
    Bits always(words, ~uint64_t{0});
    std::vector<std::pair<size_t, std::vector<uint32_t>>> asked;  // bit, classes
    for (const Item& item : items)
      if (auto classes = asked_by(item, number)) {
        always[item.bit / 64] &= ~(uint64_t{1} << (item.bit % 64));
        asked.emplace_back(item.bit, std::move(*classes));
      }
    asking = asked.size();
    std::map<uint32_t, Bits> told;  // the classes that some item tells from the rest
    for (const auto& [bit, classes] : asked)
      for (const uint32_t i : classes) set_bit(told.try_emplace(i, always).first->second, bit);
    std::map<std::pair<Bits, uint8_t>, size_t> known;
    std::pair<GridDimension, PlaceDimension> made;
    made.second.property = number;
    for (uint32_t i = 0; i < property.classes.size(); i++) {
      const auto entry = told.find(i);
      const Bits& of_class = entry == told.end() ? always : entry->second;
      const uint8_t flags = flags_of(property.classes[i].verdicts);
      const auto [value, is_new] = known.emplace(std::pair(of_class, flags), known.size());
      if (is_new) {
        made.first.values.push_back({of_class, 0, flags});
        made.second.classes.emplace_back();
      }
      made.first.values[value->second].count +=
          property.classes.size() < 2 ? 1 : static_cast<double>(property.classes[i].values.size());
      made.second.classes[value->second].push_back(i);
    }
    return made;
  }

  const DiffSides& sides_;
  const std::vector<Property>& properties_;
  SameRules same_;
  std::vector<AskedBySide> asked_;  // by property
  std::array<std::array<RuleWords, kStages>, 2> always_, never_;
  std::array<bool, 2> denies_digests_ = {};
};

GridMaker::GridMaker(const DiffSides& sides, const std::vector<Property>& properties)
    : rules_(std::make_unique<Rules>(sides, properties)) {}

GridMaker::~GridMaker() = default;

std::optional<PlaceGrid> GridMaker::at(const PlaceClass& place) const { return rules_->at(place); }

double GridMaker::combinations() const { return rules_->combinations(); }

}  // namespace bpfwarden::policy
