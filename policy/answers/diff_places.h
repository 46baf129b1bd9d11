// The attach points that two policies can tell apart, as classes: about two in one class both
// images say the same. Names that neither policy gives are represented by one that is no name of
// theirs.
#pragma once

#include <string>
#include <vector>

#include "policy/answers/diff_parts.h"

namespace bpfwarden::policy {

struct PlaceClass {
  AttachPoint representative;
  bool is_loader = false;          // programs that load others
  RulePair rules;                  // those that may have a say there
  RulePair settled;                // of these, those for which it is certain at every stage
  RulePair children;               // those that admit a loader for what it may load
  std::vector<std::string> texts;  // patterns: "xdp@eth*", "fentry/tcp_connect"
};

[[nodiscard]] std::vector<PlaceClass> place_classes(const DiffSides& sides);

}  // namespace bpfwarden::policy
