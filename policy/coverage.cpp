#include "policy/coverage.h"

namespace bpfwarden::policy {

FamilySet named_families(const Rule& rule) {
  FamilySet named;
  for (const AttachEntry& entry : rule.attach)
    if (entry.pattern.match == TargetMatch::all) named |= entry.pattern.families;
  return named;
}

Coverage coverage_of(Action action, const FamilySet& named, const LoadClass& load) {
  const bool allows = action == Action::allow;
  if (((allows ? load.home : load.reach) & named).none()) return {};
  return {true, (allows ? load.reach : load.home) & ~named};
}

}  // namespace bpfwarden::policy
