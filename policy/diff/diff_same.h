// Rules that two policies have in common, in the same order: where they decide, nothing differs.
#pragma once

#include <optional>
#include <vector>

#include "policy/diff/diff_who.h"

namespace bpfwarden::policy {

// Two rules are the same if they have one name, ask for the same, beside attach points, and mean
// the same. Of those in another order, as many as can be are left out.
//
// The first match of each side being a rule of these, it is the same rule: each comes no later on
// its own side than the other one's.
class SameRules {
 public:
  SameRules(const DiffSides& sides, const std::vector<Property>& properties);

  // The same rule of the other policy.
  [[nodiscard]] std::optional<uint32_t> twin(size_t side, uint32_t rule) const;

  // Whether the same rules give the same answers, to threads as well; else all may differ.
  [[nodiscard]] bool comparable() const { return comparable_; }
  [[nodiscard]] bool defaults() const { return defaults_; }  // are the same
  [[nodiscard]] bool digests() const { return digests_; }    // the same ones are denied

 private:
  std::array<std::vector<std::optional<uint32_t>>, 2> twins_;
  bool comparable_, defaults_, digests_ = true;
};

}  // namespace bpfwarden::policy
