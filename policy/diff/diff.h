// What changes between two policies: not their text, but their decisions.
//
// All loads that the two can tell apart are classes: combinations of an attach point and of values
// of properties. policy/diff_search.h finds which rules decide where, without going through the
// classes one by one; what they decide is asked of decide_on(), and every difference has a load
// that shows it. Only where a comparison would take too long are classes left out, and counted.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "policy/diff/diff_parts.h"

namespace bpfwarden::policy {

enum class Change : uint8_t {
  widened,   // a deny became an allow, or is no longer enforced
  narrowed,  // an allow became a deny, or a deny is enforced now
};

// Changes that the same two rules (or defaults) make for the same loads.
struct DiffGroup {
  Change change = Change::widened;
  std::vector<std::string> places;  // attach points, as patterns
  size_t more_places = 0;           // beside those
  std::vector<std::string> who;     // properties, each with its values; none: whoever
  std::string before, after;        // "denied by the default, enforced"
  std::array<Situation, 2> example;
  // The options of `explain` that show it, for each policy; none where it has no words for it.
  std::array<std::optional<std::vector<std::string>>, 2> witness;
};

// A setting of the policy that is about no program.
struct SettingChange {
  Change change = Change::widened;
  std::string setting;        // as the policy spells it
  std::string before, after;  // "deny, enforced"
};

// What the policies say of themselves, which changes no decision by itself: mode, default, version.
struct HeaderChange {
  std::string setting;
  std::string before, after;
};

struct PolicyDiff {
  std::vector<HeaderChange> header;
  std::vector<DiffGroup> groups;   // the widening ones first
  std::vector<DiffGroup> threads;  // likewise; the same answer, but another one to threads
  std::vector<SettingChange> settings;
  double classes = 0;     // of loads
  double changed = 0;     // those with another answer
  double other_rule = 0;  // those with the same answer by another rule
  double not_asked = 0;   // those that were left out

  [[nodiscard]] bool widens() const;
};

struct DiffLimits {
  // Words that a search may compute: what takes some ten seconds.
  uint64_t steps = 4'000'000'000;
};

// Dates before `now` (Unix seconds) are left out.
[[nodiscard]] PolicyDiff diff_policies(const DiffSides& sides, int64_t now,
                                       const DiffLimits& limits = {});

}  // namespace bpfwarden::policy
