// Two policies at one class of attach points, as the lists of items of policy/diff_search.h.
//
// An item is what bw_decide() chooses between: that a digest is denied, a rule, that a rule admits
// a loader for what it may load, a rule that gives the default its mode, the default. Which of them
// is chosen decides; what that means is left to decide_on().
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "policy/diff/diff_places.h"
#include "policy/diff/diff_search.h"
#include "policy/diff/diff_who.h"

namespace bpfwarden::policy {

// A property as one dimension of a grid.
struct PlaceDimension {
  size_t property;
  std::vector<std::vector<uint32_t>> classes;  // by value of the grid: which of Property::classes
};

struct PlaceGrid {
  Grid grid;
  std::vector<PlaceDimension> dimensions;  // as those of `grid`
  double combinations = 1;                 // of values of the properties that are none of them
};

// What both policies say, made ready to be asked about one class of attach points after another.
// Refers to what it is given.
class GridMaker {
 public:
  GridMaker(const DiffSides& sides, const std::vector<Property>& properties);
  ~GridMaker();
  GridMaker(const GridMaker&) = delete;
  GridMaker& operator=(const GridMaker&) = delete;

  // None where the rules that could decide are the same on both sides, in the same order.
  [[nodiscard]] std::optional<PlaceGrid> at(const PlaceClass& place) const;

  // Of values of all properties: how many loads are told apart at one attach point.
  [[nodiscard]] double combinations() const;

 private:
  class Rules;
  std::unique_ptr<Rules> rules_;
};

}  // namespace bpfwarden::policy
