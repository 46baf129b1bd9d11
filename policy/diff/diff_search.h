// First matches, of several lists at once: which combinations of them occur, and for which values.
//
// An item of a list matches where it is content with the value of every dimension; the first that
// does is the list's. Items of all lists together are the bits of one set, each list beginning with
// a word of its own. The search goes through the dimensions, and keeps what is left of the lists: a
// state. Ways that lead to the same state become one, items behind one that matches for certain are
// forgotten, and states that cannot differ are dropped. So it takes as many steps as there are
// states and values that tell them apart, and not as many as there are combinations of values.
//
// Knows nothing of policies. Everything is owned by who calls.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <vector>

namespace bpfwarden::policy {

using Bits = std::vector<uint64_t>;

[[nodiscard]] inline bool has_bit(const Bits& bits, size_t bit) {
  return ((bits[bit / 64] >> (bit % 64)) & 1) != 0;
}
inline void set_bit(Bits& bits, size_t bit) { bits[bit / 64] |= uint64_t{1} << (bit % 64); }

// Values of a dimension with which the same items are content.
struct GridValue {
  Bits items;
  double count = 1;   // of values
  uint8_t flags = 0;  // what else tells them apart
};

struct GridDimension {
  std::vector<GridValue> values;
};

struct GridList {
  size_t first_word = 0, end_word = 0;
};

// What one image decides, at load and at attach.
struct GridSide {
  GridList load, attach;  // attach: empty where nothing is decided there
};

struct Grid {
  size_t words = 0;
  std::array<GridSide, 2> sides;
  std::vector<GridDimension> dimensions;
  Bits items;        // all of them
  Bits allows_load;  // of the lists at load, those after which the one at attach is asked
  Bits differing;    // where none of these is left, nothing differs
};

// One combination of first matches.
struct GridCell {
  double count = 0;             // of combinations of values that lead to it
  std::vector<Bits> values;     // by dimension: those that occur
  std::vector<size_t> example;  // by dimension: values that lead to it together
  uint8_t flags = 0;
};

// What a search may still spend, and what it left out for having spent it.
struct SearchBudget {
  uint64_t steps;        // words of state that are computed
  double not_asked = 0;  // combinations of values
};

void search(const Grid& grid, SearchBudget& budget,
            const std::function<void(const GridCell&)>& visit);

}  // namespace bpfwarden::policy
