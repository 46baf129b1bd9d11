#include "policy/image/coverage.h"

namespace bpfwarden::policy {

FamilySet named_families(const Rule& rule) {
  FamilySet named;
  for (const AttachEntry& entry : rule.attach)
    if (is_whole(entry.pattern)) named |= entry.pattern.families;
  return named;
}

bool is_whole(const AttachPattern& pattern) {
  return pattern.target.match == TargetMatch::all && pattern.place.match == TargetMatch::all;
}

Coverage coverage_of(Action action, const FamilySet& named, const LoadClass& load) {
  const bool allows = action != Action::deny;
  if (((allows ? load.home : load.reach) & named).none()) return {};
  return {true, (allows ? load.reach : load.home) & ~named};
}

}  // namespace bpfwarden::policy
