// Rules as text, ready to be pasted into a policy: from what was recorded of loads to the smallest
// rule that admits them. By signer where a key of the policy signed, else by the exact programs.
//
// Plain data; nothing refers to its source. Used by `why` and `suggest`.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "policy/language/model.h"

namespace bpfwarden::policy {

inline constexpr size_t kDigestHead = 12;  // digits, enough to tell programs apart by eye

// One load, as an event tells of it (docs/events.md).
struct RecordedLoad {
  std::string attach;  // "fentry/tcp_connect", "kprobe/…"
  std::string program;
  std::string signer;  // the policy's name of the key; empty: nobody, or a key it does not know
  Signature signature = Signature::unsigned_;
  std::string digest;  // 64 hexadecimal digits; empty: not known
};

// An allow rule that is still to be written.
struct RuleText {
  std::string comment;  // above it, a line or several, without `#`; may be empty
  std::string name;
  std::vector<std::string> allow;      // patterns
  std::vector<std::string> signed_by;  // names of keys
  Signature signature = Signature::unsigned_;
  std::vector<std::string> digests;  // with "sha256:"
  std::vector<std::string> exes;
  std::vector<std::string> accept;  // warnings that the rule draws by intent
};

// The pattern for an attach point of an event: itself, or with `*` for the target where the load
// does not tell it. Errors: it is none that a policy could name.
[[nodiscard]] Result<std::string> pattern_for(std::string_view attach);

// Errors: no rule could name the attach point; neither a key nor the digest is known.
[[nodiscard]] Result<RuleText> smallest_rule(const RecordedLoad& load);

// As `bpfwarden fmt` would write it, with a newline at the end.
[[nodiscard]] std::string toml_text(const RuleText& rule);

// With quotes around it.
[[nodiscard]] std::string toml_string(std::string_view text);

}  // namespace bpfwarden::policy
