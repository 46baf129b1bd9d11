// Two policies side by side, as tests of `diff` write them.
#pragma once

#include <string>

#include "compiled.h"
#include "policy/diff/diff.h"

namespace bpfwarden::policy::test {

struct Side {
  explicit Side(const std::string& text);
  [[nodiscard]] DiffSide side() const { return {policy, compiled.image()}; }

  Policy policy;
  Compiled compiled;
};

// Nothing is left out, and each difference has its witnesses: both are checked.
[[nodiscard]] PolicyDiff diff_of(const Side& before, const Side& after);

// Of the rules alone.
[[nodiscard]] PolicyDiff diff_of(const std::string& before, const std::string& after);

// The rule `r`.
[[nodiscard]] std::string rule_of(const std::string& settings);

}  // namespace bpfwarden::policy::test
