// A suggested policy as people read it: TOML with comments that say what each rule is there for,
// and its tests (docs/testing.md).
#pragma once

#include <functional>
#include <string>

#include "policy/answers/suggest.h"

namespace bpfwarden::policy {

struct SuggestHeader {
  std::string name;
  uint64_t version = 1;
  Mode mode = Mode::audit;
  std::string sources;  // for the first comment: what was looked at
  std::string keys;     // the tables [keys.…] of those that Suggestion::keys names
  std::vector<ProgramDigest> deny_digests;
};

// As `bpfwarden fmt` would write it. Nothing in it depends on the time of day.
[[nodiscard]] std::string suggested_text(const Suggestion& suggestion, const SuggestHeader& header);

// What is not admitted, as comments with the reasons; empty if that is nothing.
[[nodiscard]] std::string not_admitted_text(const Suggestion& suggestion);

// Tests that each load which was seen is admitted, by its rule, and the like of it from nobody
// else, where `refuses` says so of an attach point. `policy` is the policy's file, relative to that
// of the tests.
[[nodiscard]] std::string suggested_tests(
    const Suggestion& suggestion, const std::string& policy,
    const std::function<bool(const std::string& attach)>& refuses = [](const std::string&) {
      return true;
    });

// "[keys.netops]"
[[nodiscard]] std::string key_header(const std::string& name);

}  // namespace bpfwarden::policy
