#include "policy/diff/diff_search.h"

#include <algorithm>
#include <bit>
#include <span>
#include <unordered_set>

namespace bpfwarden::policy {
namespace {

// So much may a level hold before what it has is followed to the end.
constexpr size_t kMaxWords = size_t{3} << 17;  // 3 MiB

using Span = std::span<uint64_t>;
using ConstSpan = std::span<const uint64_t>;

uint64_t hash_of(ConstSpan words) {
  uint64_t hash = 0x9e3779b97f4a7c15ULL;
  for (const uint64_t word : words) {
    hash = (hash ^ word) * 0x100000001b3ULL;
    hash ^= hash >> 29;
  }
  return hash;
}

// Where in a record each part is.
struct Layout {
  explicit Layout(const Grid& grid) : key(grid.words + 1) {
    size_t at = key + 1;
    for (const GridDimension& dimension : grid.dimensions) {
      seen.push_back(at);
      at += (dimension.values.size() + 63) / 64;
    }
    example = at;
    size = at + grid.dimensions.size();
  }

  size_t key;                // the state and its flags; what follows is the count
  std::vector<size_t> seen;  // by dimension
  size_t example;
  size_t size;
};

double count_in(ConstSpan record, const Layout& layout) {
  return std::bit_cast<double>(record[layout.key]);
}

void set_count(Span record, const Layout& layout, double count) {
  record[layout.key] = std::bit_cast<uint64_t>(count);
}

// Different states, each with the ways that lead to it. Not moved: its index refers to it.
class Level {
 public:
  explicit Level(const Layout& layout) : layout_(layout), known_(16, HashAt{this}, EqualAt{this}) {}
  Level(const Level&) = delete;
  Level& operator=(const Level&) = delete;

  void add(ConstSpan record) {
    const size_t number = size();
    words_.insert(words_.end(), record.begin(), record.end());
    const auto [known, is_new] = known_.insert(number);
    if (is_new) return;
    words_.resize(number * layout_.size);
    const Span into = at(*known);
    set_count(into, layout_, count_in(into, layout_) + count_in(record, layout_));
    for (size_t i = layout_.key + 1; i < layout_.example; i++) into[i] |= record[i];
  }

  [[nodiscard]] size_t size() const { return words_.size() / layout_.size; }
  [[nodiscard]] bool is_full() const { return words_.size() > kMaxWords; }
  [[nodiscard]] ConstSpan operator[](size_t number) const {
    return ConstSpan(words_).subspan(number * layout_.size, layout_.size);
  }
  void clear() {
    known_.clear();
    words_.clear();
  }

 private:
  Span at(size_t number) { return Span(words_).subspan(number * layout_.size, layout_.size); }
  [[nodiscard]] ConstSpan key_at(size_t number) const { return (*this)[number].first(layout_.key); }

  struct HashAt {
    const Level* level;
    size_t operator()(size_t number) const { return hash_of(level->key_at(number)); }
  };
  struct EqualAt {
    const Level* level;
    bool operator()(size_t left, size_t right) const {
      return std::ranges::equal(level->key_at(left), level->key_at(right));
    }
  };

  const Layout& layout_;
  std::vector<uint64_t> words_;
  std::unordered_set<size_t, HashAt, EqualAt> known_;
};

// Of a dimension: which values an item tells from the rest.
struct Index {
  Bits free;                                 // the items content with all values
  Bits rest;                                 // those content with a value that no item tells apart
  std::vector<std::vector<uint32_t>> about;  // by item: the values that it tells from the rest
  bool has_flags = false;
};

bool intersects(ConstSpan left, const Bits& right) {
  for (size_t i = 0; i < right.size(); i++)
    if ((left[i] & right[i]) != 0) return true;
  return false;
}

class GridSearch {
 public:
  GridSearch(const Grid& grid, SearchBudget& budget,
             const std::function<void(const GridCell&)>& visit)
      : grid_(grid), budget_(budget), visit_(visit), layout_(grid) {
    const size_t depth = grid.dimensions.size();
    settled_.assign(depth + 1, Bits(grid.words, ~uint64_t{0}));
    below_.assign(depth + 1, 1);
    total_.assign(depth, 0);
    for (size_t i = depth; i-- > 0;) {
      double count = 0;
      settled_[i] = settled_[i + 1];
      for (const GridValue& value : grid.dimensions[i].values) {
        count += value.count;
        for (size_t n = 0; n < grid.words; n++) settled_[i][n] &= value.items[n];
      }
      total_[i] = count;
      below_[i] = below_[i + 1] * count;
    }
    for (const GridDimension& dimension : grid.dimensions) indices_.push_back(index_of(dimension));
  }

  void run() {
    std::vector<uint64_t> record(layout_.size);
    std::ranges::copy(grid_.items, record.begin());
    set_count(record, layout_, 1);
    settle(record, 0);
    if (!may_differ(record)) return;
    Level first(layout_);
    first.add(record);
    expand(first, 0);
  }

 private:
  [[nodiscard]] Index index_of(const GridDimension& dimension) const {
    Index index;
    index.free.assign(grid_.words, ~uint64_t{0});
    index.about.resize(grid_.words * 64);
    // The value that fewest items are about stands for the rest.
    const auto bits = [](const GridValue& value) {
      size_t count = 0;
      for (const uint64_t word : value.items) count += static_cast<size_t>(std::popcount(word));
      return count;
    };
    const auto least = std::ranges::min_element(dimension.values, {}, bits);
    index.rest = least->items;
    for (uint32_t i = 0; i < dimension.values.size(); i++) {
      const GridValue& value = dimension.values[i];
      index.has_flags |= value.flags != dimension.values[0].flags;
      for (size_t n = 0; n < grid_.words; n++) {
        index.free[n] &= value.items[n];
        for (uint64_t left = value.items[n] ^ index.rest[n]; left != 0; left &= left - 1)
          index.about[n * 64 + static_cast<size_t>(std::countr_zero(left))].push_back(i);
      }
    }
    return index;
  }

  // Nothing is said any more of a load that is allowed, and asked about at attach: where that is so
  // on one side only, the sides may differ.
  [[nodiscard]] bool may_differ(ConstSpan record) const {
    const auto is_allowed = [&](const GridSide& side) {
      const auto of_load =
          record.subspan(side.load.first_word, side.load.end_word - side.load.first_word);
      return std::ranges::all_of(of_load, [](uint64_t word) { return word == 0; });
    };
    return is_allowed(grid_.sides[0]) != is_allowed(grid_.sides[1]) ||
           intersects(record, grid_.differing);
  }

  // Forgets what comes after the first item of a list that matches for certain; true if that is the
  // first of all.
  bool cut(Span record, const GridList& list, const Bits& settled) const {
    bool is_settled = false, is_only = true;
    for (size_t i = list.first_word; i < list.end_word; i++) {
      if (is_settled) {
        record[i] = 0;
        continue;
      }
      const uint64_t certain = record[i] & settled[i];
      if (certain != 0) record[i] &= certain ^ (certain - 1);
      is_settled = certain != 0;
      const uint64_t others = certain == 0 ? record[i] : record[i] & ~(certain & (0 - certain));
      is_only = is_only && others == 0;
    }
    return is_settled && is_only;
  }

  static void forget(Span record, const GridList& list) {
    std::fill(record.begin() + static_cast<ptrdiff_t>(list.first_word),
              record.begin() + static_cast<ptrdiff_t>(list.end_word), 0);
  }

  // After a denial at load nothing is asked at attach; by which rule a load is allowed that is
  // asked about at attach makes no difference.
  void settle(Span record, size_t depth) const {
    for (const GridSide& side : grid_.sides) {
      const bool is_settled = cut(record, side.load, settled_[depth]);
      cut(record, side.attach, settled_[depth]);
      if (side.attach.first_word == side.attach.end_word) continue;
      bool allows = true, denies = true;
      for (size_t i = side.load.first_word; i < side.load.end_word; i++) {
        allows = allows && (record[i] & ~grid_.allows_load[i]) == 0;
        denies = denies && (record[i] & grid_.allows_load[i]) == 0;
      }
      if (allows)
        forget(record, side.load);
      else if (is_settled && denies)
        forget(record, side.attach);
    }
  }

  // What values that `record` does not tell apart make of it.
  void take(ConstSpan from, size_t depth, const Bits& items, uint8_t flags,
            std::vector<uint64_t>& record) const {
    record.assign(from.begin(), from.end());
    for (size_t i = 0; i < grid_.words; i++) record[i] &= items[i];
    record[grid_.words] |= flags;
    settle(record, depth + 1);
  }

  // The values that some item left in `record` tells from the rest; all where they have flags.
  std::vector<uint32_t> told_apart(ConstSpan record, size_t depth) const {
    const Index& index = indices_[depth];
    std::vector<uint32_t> values;
    if (index.has_flags) {
      values.resize(grid_.dimensions[depth].values.size());
      for (uint32_t i = 0; i < values.size(); i++) values[i] = i;
      return values;
    }
    for (size_t i = 0; i < grid_.words; i++)
      for (uint64_t left = record[i] & ~index.free[i]; left != 0; left &= left - 1) {
        const auto& about = index.about[i * 64 + static_cast<size_t>(std::countr_zero(left))];
        values.insert(values.end(), about.begin(), about.end());
      }
    std::ranges::sort(values);
    const auto same = std::ranges::unique(values);
    values.erase(same.begin(), same.end());
    return values;
  }

  void add(std::vector<uint64_t>& record, size_t depth, double count, size_t example, Level& next) {
    budget_.steps -= std::min<uint64_t>(budget_.steps, layout_.size);
    if (!may_differ(record)) return;
    set_count(record, layout_, count_in(record, layout_) * count);
    record[layout_.example + depth] = example;
    next.add(record);
    if (!next.is_full()) return;
    expand(next, depth + 1);
    next.clear();
  }

  void follow(ConstSpan from, size_t depth, Level& next) {
    const GridDimension& dimension = grid_.dimensions[depth];
    const std::vector<uint32_t> apart = told_apart(from, depth);
    std::vector<uint64_t> record;
    for (const uint32_t i : apart) {
      const GridValue& value = dimension.values[i];
      take(from, depth, value.items, value.flags, record);
      record[layout_.seen[depth] + i / 64] |= uint64_t{1} << (i % 64);
      add(record, depth, value.count, i, next);
    }
    if (apart.size() == dimension.values.size()) return;
    take(from, depth, indices_[depth].rest, dimension.values[0].flags, record);
    double count = total_[depth];
    const Span seen =
        Span(record).subspan(layout_.seen[depth], (dimension.values.size() + 63) / 64);
    std::ranges::fill(seen, ~uint64_t{0});
    if (dimension.values.size() % 64 != 0)
      seen.back() = ~(~uint64_t{0} << (dimension.values.size() % 64));
    for (const uint32_t i : apart) {
      seen[i / 64] &= ~(uint64_t{1} << (i % 64));
      count -= dimension.values[i].count;
    }
    const auto first = std::ranges::find_if(seen, [](uint64_t word) { return word != 0; });
    const auto example = static_cast<size_t>(first - seen.begin()) * 64 +
                         static_cast<size_t>(std::countr_zero(*first));
    add(record, depth, count, example, next);
  }

  void expand(const Level& from, size_t depth) {
    if (depth == grid_.dimensions.size()) {
      for (size_t i = 0; i < from.size(); i++) visit(from[i]);
      return;
    }
    Level next(layout_);
    for (size_t i = 0; i < from.size(); i++) {
      if (budget_.steps == 0)
        budget_.not_asked += count_in(from[i], layout_) * below_[depth];
      else
        follow(from[i], depth, next);
    }
    if (next.size() > 0) expand(next, depth + 1);
  }

  void visit(ConstSpan record) const {
    GridCell cell;
    cell.count = count_in(record, layout_);
    cell.flags = static_cast<uint8_t>(record[grid_.words]);
    for (size_t i = 0; i < grid_.dimensions.size(); i++) {
      const size_t words = (grid_.dimensions[i].values.size() + 63) / 64;
      const ConstSpan seen = record.subspan(layout_.seen[i], words);
      cell.values.emplace_back(seen.begin(), seen.end());
      cell.example.push_back(record[layout_.example + i]);
    }
    visit_(cell);
  }

  const Grid& grid_;
  SearchBudget& budget_;
  const std::function<void(const GridCell&)>& visit_;
  Layout layout_;
  std::vector<Bits> settled_;  // by depth: the items content with all values from there on
  std::vector<double> total_;  // by depth: the values of the dimension
  std::vector<double> below_;  // by depth: combinations of values from there on
  std::vector<Index> indices_;
};

}  // namespace

void search(const Grid& grid, SearchBudget& budget,
            const std::function<void(const GridCell&)>& visit) {
  GridSearch(grid, budget, visit).run();
}

}  // namespace bpfwarden::policy
