// How much of what a load may become a rule speaks about.
//
// BPF_PROG_LOAD does not tell all attach points apart, and a policy may leave nothing to be decided
// elsewhere. So an allow rule admits a program if it names an attach point that the program was
// loaded for; a deny rule refuses it if it names any that the program can reach.
#pragma once

#include "policy/language/attach_point.h"
#include "policy/language/model.h"

namespace bpfwarden::policy {

struct Coverage {
  bool matches = false;  // the rule decides about such programs
  FamilySet others;      // and, with them, about these, which it does not name
};

// Whether a pattern stands for all of its families, whatever the target and the place.
[[nodiscard]] bool is_whole(const AttachPattern& pattern);

// The families that a rule names whole. What falls at attach is decided there, exactly.
[[nodiscard]] FamilySet named_families(const Rule& rule);

[[nodiscard]] Coverage coverage_of(Action action, const FamilySet& named, const LoadClass& load);

}  // namespace bpfwarden::policy
