// From what was seen on a host to a policy file, its tests, and the certificates that it names.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "loader/events/seen_loads.h"
#include "loader/policies/policy_file.h"
#include "policy/answers/suggest_text.h"

namespace bpfwarden::loader {

struct SuggestRequest {
  std::string base;    // whose keys may be named; empty: the active policy's
  std::string name;    // of the new one; empty: the base's
  std::string output;  // where the policy will be; empty: nowhere but on the terminal
  std::string tests;   // where its tests will be; empty: nowhere
  policy::Mode mode = policy::Mode::audit;
  bool include_refused = false;
  bool with_inventory = true;
  EventSource events;
};

struct FileToWrite {
  std::string path;
  std::string text;
};

struct SuggestedPolicy {
  policy::Suggestion suggestion;     // what is added to the base, or all of it
  size_t kept_rules = 0;             // of the base
  std::vector<std::string> changes;  // what the base said otherwise, and what is widened
  std::string text;
  std::string tests_text;          // empty if none are wanted
  std::vector<FileToWrite> files;  // certificates that are no longer where the base says
  uint64_t version = 1;
  std::string name;
};

// What the base says stays, its comments included: rules are added for what it does not admit by a
// rule. The text has passed `check`, and each load that it is for has been decided by it. Errors:
// the base is no good policy, a source cannot be read, nothing was seen, too much for one policy.
[[nodiscard]] Result<SuggestedPolicy> suggest_policy(const SuggestRequest& request);

// All of them, or an Error; certificates first, so that a policy never names what is not there.
[[nodiscard]] Status write_suggestion(const SuggestRequest& request,
                                      const SuggestedPolicy& suggested);

}  // namespace bpfwarden::loader
