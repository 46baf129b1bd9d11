// What changes between two policies: not their text, but their decisions.
//
// Every class of loads that the two can tell apart is decided by both images, with decide_on(), so
// a difference that is not reported is none that the kernel part could make.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "policy/answers/diff_parts.h"

namespace bpfwarden::policy {

enum class Change : uint8_t {
  widened,   // a deny became an allow, or is no longer enforced
  narrowed,  // an allow became a deny, or a deny is enforced now
};

// Changes that the same two rules (or defaults) make for the same loads.
struct DiffGroup {
  Change change = Change::widened;
  std::vector<std::string> places;  // attach points, as patterns
  std::vector<std::string> who;     // properties, each with its values; none: whoever
  std::string before, after;        // "denied by the default, enforced"
  std::array<Situation, 2> example;
};

// A setting of the policy that is about no program.
struct SettingChange {
  Change change = Change::widened;
  std::string setting;        // as the policy spells it
  std::string before, after;  // "deny, enforced"
};

struct PolicyDiff {
  std::vector<DiffGroup> groups;   // the widening ones first
  std::vector<DiffGroup> threads;  // likewise; the same answer, but another one to threads
  std::vector<SettingChange> settings;
  size_t classes = 0;     // of loads, all that were compared
  size_t changed = 0;     // those with another answer
  size_t other_rule = 0;  // those with the same answer by another rule

  [[nodiscard]] bool widens() const;
};

// Dates before `now` (Unix seconds) are left out. Errors: more classes than can be compared.
[[nodiscard]] Result<PolicyDiff> diff_policies(const DiffSides& sides, int64_t now);

}  // namespace bpfwarden::policy
