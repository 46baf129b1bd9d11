// What an administrator can do about a refusal: which rule to add, what to sign, which key is
// missing.
#pragma once

#include <string>
#include <vector>

#include "loader/events/event.h"

namespace bpfwarden::loader {

struct Advice {
  std::vector<std::string> steps;  // sentences, the best first; at least one
  std::string rule;                // TOML to be pasted; empty: no rule can or should admit it
  std::string place;               // where it goes
};

// `event`: one that is_refusal().
[[nodiscard]] Advice advice_for(const Event& event);

}  // namespace bpfwarden::loader
