// The attach points that two policies can tell apart, as classes: about two in one class both
// images say the same. Names that neither policy gives are represented by one that is no name of
// theirs.
#pragma once

#include <string>
#include <vector>

#include "policy/diff/diff_parts.h"

namespace bpfwarden::policy {

struct PlaceClass {
  AttachPoint representative;
  bool is_loader = false;          // programs that load others
  bw_cause guard = BW_CAUSE_RULE;  // what is refused there before any rule
  RulePair load;                   // the rules that decide there at load, beside who loads what
  RulePair named;                  // those that name it, if only perhaps
  RulePair attach;                 // those that decide there at attach
  std::vector<std::string> texts;  // patterns: "xdp@eth*", "fentry/tcp_connect"
  size_t more = 0;                 // patterns beside them
};

[[nodiscard]] std::vector<PlaceClass> place_classes(const DiffSides& sides);

// A load at that attach point, of which nothing else is known.
[[nodiscard]] Situation situation_at(const AttachPoint& attach);

}  // namespace bpfwarden::policy
