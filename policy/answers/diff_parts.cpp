#include "policy/answers/diff_parts.h"

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

std::string fresh_name(std::string beginning) {
  constexpr size_t longest = BW_NAME_SIZE - 1;
  if (beginning.size() < longest) beginning += '\x01';
  return beginning;
}

}  // namespace bpfwarden::policy
