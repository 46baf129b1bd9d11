// The results of policy tests, as people and machines read them.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/answers/test_run.h"

namespace bpfwarden::loader {

enum class TestFormat : uint8_t { text, tap, junit };

// Nothing for a word that is no format.
[[nodiscard]] std::optional<TestFormat> test_format(std::string_view word);

// The tests of one file that was well-formed.
struct TestedFile {
  std::string file;
  policy::Policy policy;
  policy::TestReport report;
};

// Makes coverage that of the policy: what any of the files reached, for each that tests it.
void share_coverage(std::vector<TestedFile>& files);

// Whole output for all files: TAP 14 (testanything.org), JUnit XML, or text with the coverage
// of each policy's rules.
[[nodiscard]] std::string test_output(const std::vector<TestedFile>& files, TestFormat format);
// `ok`: all is as it should be, the coverage included.
[[nodiscard]] nlohmann::json test_json(const std::vector<TestedFile>& files, bool ok);

}  // namespace bpfwarden::loader
