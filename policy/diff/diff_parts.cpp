#include "policy/diff/diff_parts.h"

#include <algorithm>
#include <functional>

namespace bpfwarden::policy {
namespace {

template <class Operation>
RuleWords combined(const RuleWords& left, const RuleWords& right, Operation operation) {
  RuleWords words;
  std::transform(left.begin(), left.end(), right.begin(), words.begin(), operation);
  return words;
}

bool is_fresh(const std::string& name, size_t from, const std::set<std::string>& taken) {
  for (size_t length = from + 1; length <= name.size(); length++)
    if (taken.contains(name.substr(0, length))) return false;
  return true;
}

constexpr std::string_view kDevicesElsewhere = "netns:";

// What may follow, for the name to be one that there can be.
std::string ending_of(const std::string& beginning) {
  if (!beginning.starts_with(kDevicesElsewhere) || beginning.find('/') != std::string::npos)
    return "";
  return beginning.size() == kDevicesElsewhere.size() ? "7/x" : "/x";
}

}  // namespace

RuleWords words_of(const bw_vector& vector) {
  RuleWords words;
  std::copy(std::begin(vector.words), std::end(vector.words), words.begin());
  return words;
}

RuleWords both(const RuleWords& left, const RuleWords& right) {
  return combined(left, right, std::bit_and());
}

RuleWords either(const RuleWords& left, const RuleWords& right) {
  return combined(left, right, std::bit_or());
}

RuleWords without(const RuleWords& left, const RuleWords& right) {
  return combined(left, right, [](uint64_t a, uint64_t b) { return a & ~b; });
}

RuleWords all_rules() {
  RuleWords all;
  all.fill(~uint64_t{0});
  return all;
}

bool has_rule(const RuleWords& words, size_t rule) {
  return ((words[rule / 64] >> (rule % 64)) & 1) != 0;
}

RuleWords deciding_at_load(const bw_image& image, bw_match_sets sets) {
  const RuleWords allow = words_of(image.allow);
  return either(without(words_of(image.vectors[sets.sure]), allow),
                both(words_of(image.vectors[sets.may]), allow));
}

std::string fresh_name(const std::string& beginning, const std::set<std::string>& taken,
                       size_t longest) {
  constexpr std::string_view kLetters = "xyzwvutsrqponmlkjihgfedcba9876543210_";
  const std::string ending = ending_of(beginning);
  if (!ending.empty() && is_fresh(beginning + ending, beginning.size(), taken))
    return beginning + ending;
  for (const char first : kLetters) {
    const std::string name = beginning + first;
    if (name.size() <= longest && is_fresh(name, beginning.size(), taken)) return name;
  }
  for (const char first : kLetters)
    for (const char second : kLetters) {
      const std::string name = beginning + first + second;
      if (name.size() <= longest && is_fresh(name, beginning.size(), taken)) return name;
    }
  return beginning.size() < longest ? beginning + '\x01' : beginning;
}

}  // namespace bpfwarden::policy
