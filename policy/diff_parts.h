// The two halves of diff_space(). Internal to policy/diff_*.cpp.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "policy/diff_space.h"

namespace bpfwarden::policy {

using RuleWords = std::array<uint64_t, BW_VECTOR_WORDS>;

[[nodiscard]] RuleWords words_of(const bw_vector& vector);

// A name that begins so and is in no policy: policies hold no control characters.
[[nodiscard]] std::string fresh_name(std::string beginning);

[[nodiscard]] std::vector<PlaceClass> place_classes(const DiffSides& sides);

struct WhoSpace {
  std::vector<Property> properties;
  std::vector<WhoClass> classes;
};

[[nodiscard]] Result<WhoSpace> who_classes(const DiffSides& sides, int64_t now);

}  // namespace bpfwarden::policy
