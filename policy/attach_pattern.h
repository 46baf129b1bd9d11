// Attach points as the policy writes them: exact ones, and patterns with a trailing `*`.
//
// A `*` stands for any rest of the full text of an attach point, so `tcx/*`, `cgroup/*`, `fentry*`
// and `*` may cover several families; nothing else is a wildcard. Values own their text. Errors
// carry a message and, wherever there is something to do, a hint.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "policy/attach_point.h"

namespace bpfwarden::policy {

enum class TargetMatch : uint8_t {
  all,     // whatever the target is, and where there is none
  prefix,  // targets that begin with AttachPattern::target
  exact,   // AttachPattern::target itself
};

struct AttachPattern {
  std::string text;    // as written
  FamilySet families;  // exactly one, of Target::load, unless match is all
  TargetMatch match = TargetMatch::all;
  std::string target;
};

// Refuses what this version cannot decide: `@where`, and a target that is known only at attach.
[[nodiscard]] Result<AttachPattern> parse_attach_pattern(std::string_view text);

// One attach point, without wildcard, as `explain` takes it.
struct AttachPoint {
  size_t family = 0;   // index into attach_families()
  std::string target;  // as in bw_facts.name for Target::load; informative for Target::attach
};

[[nodiscard]] Result<AttachPoint> parse_attach_point(std::string_view text);

}  // namespace bpfwarden::policy
