// Attach points as the policy writes them: exact ones, and patterns with a trailing `*`.
//
// A `*` stands for any rest of the full text of an attach point, so `tcx/*`, `cgroup/*`, `fentry*`
// and `*` may cover several families; nothing else is a wildcard. `@` narrows them to a place, with
// a `*` of its own: `xdp@eth*`, `cgroup/connect4@/system.slice/*`. Values own their text. Errors
// carry a message and, wherever there is something to do, a hint.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "policy/language/attach_point.h"

namespace bpfwarden::policy {

enum class TargetMatch : uint8_t {
  all,     // whatever the target is, and where there is none
  prefix,  // targets that begin with AttachPattern::target
  exact,   // AttachPattern::target itself
};

// What a pattern says about the target, or about the place.
struct TextMatch {
  TargetMatch match = TargetMatch::all;
  std::string text;
};

struct AttachPattern {
  std::string text;    // as written
  FamilySet families;  // exactly one where a target is given
  TextMatch target;
  TextMatch place;  // what follows `@`; not `all` only where all families have that kind of place
};

// An offset in a file as people write it: `74224`, `0x121f0`. In patterns and attach points it is
// spelt as the kernel part does, by offset_text(): `0x121f0`.
[[nodiscard]] std::optional<uint64_t> offset_in(std::string_view text);
[[nodiscard]] std::string offset_text(uint64_t offset);

// Whether the pattern leaves something to be decided when the program is attached.
[[nodiscard]] bool falls_at_attach(const AttachPattern& pattern);

// The target of a pattern that has one, which is about one family: as the kernel part has it.
[[nodiscard]] std::string target_in_facts(const AttachPattern& pattern);

[[nodiscard]] Result<AttachPattern> parse_attach_pattern(std::string_view text);

// One attach point, without wildcard, as `explain` takes it.
struct AttachPoint {
  size_t family = 0;   // index into attach_families()
  std::string target;  // as in bw_facts.names; empty where the family has none
  std::string place;   // empty: not given
};

[[nodiscard]] Result<AttachPoint> parse_attach_point(std::string_view text);

// `text` with its family's target and place: what parse_attach_point() reads.
[[nodiscard]] std::string attach_point_text(const AttachPoint& point);

}  // namespace bpfwarden::policy
