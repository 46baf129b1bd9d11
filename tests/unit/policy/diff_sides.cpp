#include "diff_sides.h"

#include <catch2/catch_test_macros.hpp>

#include "fake_reader.h"

namespace bpfwarden::policy::test {

using std::string;

Side::Side(const string& text) : policy(must_parse(text)), compiled(policy) {}

PolicyDiff diff_of(const Side& before, const Side& after) {
  const PolicyDiff diff = diff_policies({before.side(), after.side()}, kNow);
  CHECK(diff.not_asked == 0);
  for (const auto* groups : {&diff.groups, &diff.threads})
    for (const DiffGroup& group : *groups)
      for (const auto& witness : group.witness) CHECK(witness.has_value());
  return diff;
}

PolicyDiff diff_of(const string& before, const string& after) {
  return diff_of(Side(with_header(before)), Side(with_header(after)));
}

string rule_of(const string& settings) { return "[[rules]]\nname = \"r\"\n" + settings + "\n"; }

}  // namespace bpfwarden::policy::test
