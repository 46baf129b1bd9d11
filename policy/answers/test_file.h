// Policy tests: situations, and what a policy must say to them. The format is in docs/testing.md.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "policy/answers/read_situation.h"

namespace bpfwarden::policy {

enum class Expectation : uint8_t {
  deny,
  allow,
  load_only,  // allowed at load by a load-only rule, and so denied at attach
};

struct TestCase {
  std::string name;
  SituationSettings situation;
  Expectation expected = Expectation::deny;
  std::optional<std::string> rule;  // the rule that must decide; "default" for the default
  std::optional<Mode> mode;
  SourceRange position;
};

struct TestFile {
  std::filesystem::path policy;  // the one under test
  std::vector<TestCase> cases;
};

struct TestFileResult {
  std::optional<TestFile> tests;  // exactly if there is no error
  std::vector<Diagnostic> diagnostics;
  std::vector<SourceFile> sources;
};

// Everything that is wrong with the file, in one run. The policy is not read.
[[nodiscard]] TestFileResult parse_test_file(const std::filesystem::path& path);

}  // namespace bpfwarden::policy
