// Runs policy tests: which hold, why the others do not, and which rules no test has reached.
#pragma once

#include <string>
#include <vector>

#include "policy/answers/test_file.h"

namespace bpfwarden::policy {

struct TestOutcome {
  std::string name;
  SourceRange position;
  bool passed = false;
  std::string reason;  // why not; several lines
};

struct TestReport {
  std::vector<TestOutcome> outcomes;
  std::vector<bool> decided;  // by rule: whether it decided in any case

  [[nodiscard]] size_t failed() const;
  [[nodiscard]] size_t covered() const;
  [[nodiscard]] double coverage() const;  // percent of the rules; 100 where there are none
};

// `image` is compile()'s of `policy`; `now` is for cases without a time.
[[nodiscard]] TestReport run_tests(const TestFile& tests, const Policy& policy,
                                   const bw_image& image, int64_t now);

}  // namespace bpfwarden::policy
