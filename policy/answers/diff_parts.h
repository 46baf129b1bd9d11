// What the halves of a comparison share. Internal to policy/answers/diff*.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "policy/image/situation.h"

namespace bpfwarden::policy {

// A policy and what was compiled from it.
struct DiffSide {
  const Policy& policy;
  const bw_image& image;
};

using DiffSides = std::array<DiffSide, 2>;  // old, new

// A set of rules; one of each policy.
using RuleWords = std::array<uint64_t, BW_VECTOR_WORDS>;
using RulePair = std::array<RuleWords, 2>;

[[nodiscard]] RuleWords words_of(const bw_vector& vector);
[[nodiscard]] RuleWords both(const RuleWords& left, const RuleWords& right);
[[nodiscard]] RuleWords either(const RuleWords& left, const RuleWords& right);

// A name that begins so and is in no policy: policies hold no control characters.
[[nodiscard]] std::string fresh_name(std::string beginning);

}  // namespace bpfwarden::policy
