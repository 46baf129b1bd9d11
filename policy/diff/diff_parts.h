// What the parts of a comparison share. Internal to policy/diff*.
#pragma once

#include <array>
#include <cstdint>
#include <set>
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
[[nodiscard]] RuleWords without(const RuleWords& left, const RuleWords& right);
[[nodiscard]] RuleWords all_rules();
[[nodiscard]] bool has_rule(const RuleWords& words, size_t rule);

// The rules that decide where `sets` is what they say of a name: at load, one that allows counts
// where it may match, as in bw_decide().
[[nodiscard]] RuleWords deciding_at_load(const bw_image& image, bw_match_sets sets);

// A name of at most `longest` bytes that begins so and is none of `taken`, nor begins with a longer
// one of them: what only patterns as short as `beginning` fit. `beginning` where there is no room.
[[nodiscard]] std::string fresh_name(const std::string& beginning,
                                     const std::set<std::string>& taken, size_t longest);

}  // namespace bpfwarden::policy
