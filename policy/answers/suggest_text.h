// A suggested policy as people read it: TOML with comments that say what each rule is there for,
// and its tests (docs/testing.md).
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "policy/answers/suggest.h"
#include "policy/answers/test_file.h"

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

// What the suggested policy says.
struct SuggestedAnswers {
  // Whether it refuses strangers at an attach point.
  std::function<bool(const std::string& attach)> refuses = [](const std::string&) { return true; };
  // What it says of a load that no rule of the suggestion is there for. Nothing: that depends on the
  // place, which is not known.
  std::function<std::optional<Expectation>(const SeenLoad&)> expected = [](const SeenLoad&) {
    return Expectation::allow;
  };
};

// Tests that each load which was seen is admitted, by its rule, and the like of it from nobody
// else, where strangers are refused. `policy` is the policy's file, relative to that of the tests.
[[nodiscard]] std::string suggested_tests(const Suggestion& suggestion, const std::string& policy,
                                          const SuggestedAnswers& answers = {});

// "[keys.netops]"
[[nodiscard]] std::string key_header(const std::string& name);

}  // namespace bpfwarden::policy
