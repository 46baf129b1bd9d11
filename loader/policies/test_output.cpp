#include "loader/policies/test_output.h"

#include <array>
#include <cmath>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "loader/text/json_members.h"
#include "policy/language/read_policy.h"

namespace bpfwarden::loader {
namespace {

using std::string;

constexpr std::array<std::pair<std::string_view, TestFormat>, 3> kTestFormats = {{
    {"text", TestFormat::text},
    {"tap", TestFormat::tap},
    {"junit", TestFormat::junit},
}};

string indented(const string& text, std::string_view indent) {
  string result;
  std::istringstream lines(text);
  for (string line; std::getline(lines, line);) result += string(indent) + line + "\n";
  return result;
}

size_t count_tests(const std::vector<TestedFile>& files) {
  size_t count = 0;
  for (const TestedFile& file : files) count += file.report.outcomes.size();
  return count;
}

std::vector<const policy::Rule*> uncovered(const TestedFile& file) {
  std::vector<const policy::Rule*> rules;
  for (size_t i = 0; i < file.policy.rules.size(); i++)
    if (!file.report.decided[i]) rules.push_back(&file.policy.rules[i]);
  return rules;
}

string coverage_line(const TestedFile& file) {
  string text = "coverage: " + std::to_string(file.report.covered()) + " of " +
                std::to_string(file.policy.rules.size()) + " rules (" +
                std::to_string(std::lround(std::floor(file.report.coverage()))) + " %)";
  bool is_first = true;
  for (const policy::Rule* rule : uncovered(file)) {
    text += (is_first ? "; never decided: `" : ", `") + rule->name + "` (" +
            policy::place_text(file.policy.files, rule->position) + ")";
    is_first = false;
  }
  return text + "\n";
}

string to_text(const std::vector<TestedFile>& files) {
  string text;
  for (const TestedFile& file : files) {
    for (const policy::TestOutcome& one : file.report.outcomes) {
      text += (one.passed ? "ok      " : "FAILED  ") + one.name + " (" + file.file + ":" +
              std::to_string(one.position.line) + ")\n";
      text += indented(one.reason, "        ");
    }
    const size_t failed = file.report.failed();
    text += file.file + ": " + std::to_string(file.report.outcomes.size() - failed) + " passed, " +
            std::to_string(failed) + " failed; " + coverage_line(file);
  }
  return text;
}

// `#` would begin a directive.
string tap_name(string name) {
  for (size_t at = 0; (at = name.find_first_of("#\\", at)) != string::npos; at += 2)
    name.insert(at, 1, '\\');
  return name;
}

string to_tap(const std::vector<TestedFile>& files) {
  string text = "TAP version 14\n1.." + std::to_string(count_tests(files)) + "\n";
  size_t number = 0;
  for (const TestedFile& file : files) {
    for (const policy::TestOutcome& one : file.report.outcomes)
      text += (one.passed ? "ok " : "not ok ") + std::to_string(++number) + " - " +
              tap_name(one.name) + "\n" + indented(one.reason, "# ");
    text += "# " + file.file + ": " + coverage_line(file);
  }
  return text;
}

string xml_escaped(std::string_view text) {
  string result;
  for (const char c : text) {
    if (c == '&')
      result += "&amp;";
    else if (c == '<')
      result += "&lt;";
    else if (c == '>')
      result += "&gt;";
    else if (c == '"')
      result += "&quot;";
    else if (c == '\n')
      result += "&#10;";
    else
      result += static_cast<unsigned char>(c) < 0x20 ? '?' : c;
  }
  return result;
}

string to_junit(const std::vector<TestedFile>& files) {
  string text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n";
  for (const TestedFile& file : files) {
    text += "  <testsuite name=\"" + xml_escaped(file.file) + "\" tests=\"" +
            std::to_string(file.report.outcomes.size()) + "\" failures=\"" +
            std::to_string(file.report.failed()) + "\">\n";
    for (const policy::TestOutcome& one : file.report.outcomes) {
      text += "    <testcase classname=\"" + xml_escaped(file.policy.name) + "\" name=\"" +
              xml_escaped(one.name) + "\" file=\"" + xml_escaped(file.file) + "\" line=\"" +
              std::to_string(one.position.line) + "\"";
      if (one.passed) {
        text += "/>\n";
        continue;
      }
      text += ">\n      <failure message=\"" + xml_escaped(one.reason) + "\"/>\n    </testcase>\n";
    }
    text += "    <system-out>" + xml_escaped(coverage_line(file)) + "</system-out>\n";
    text += "  </testsuite>\n";
  }
  return text + "</testsuites>\n";
}

}  // namespace

nlohmann::json test_json(const std::vector<TestedFile>& files, bool ok) {
  auto list = nlohmann::json::array();
  for (const TestedFile& file : files) {
    auto tests = nlohmann::json::array();
    for (const policy::TestOutcome& one : file.report.outcomes)
      tests.push_back(object_of({{"name", one.name},
                                 {"line", one.position.line},
                                 {"ok", one.passed},
                                 {"reason", one.reason}}));
    auto never = nlohmann::json::array();
    for (const policy::Rule* rule : uncovered(file)) never.push_back(rule->name);
    list.push_back(object_of({{"file", file.file},
                              {"policy", file.policy.name},
                              {"failed", file.report.failed()},
                              {"tests", tests},
                              {"coverage", file.report.coverage()},
                              {"never_decided", never}}));
  }
  return object_of({{"ok", ok}, {"files", list}});
}

void share_coverage(std::vector<TestedFile>& files) {
  std::map<std::filesystem::path, std::vector<bool>> reached;
  std::error_code ignored;  // a path that cannot be resolved stands for itself
  const auto of_policy = [&](const TestedFile& file) -> std::vector<bool>& {
    auto& rules = reached[std::filesystem::weakly_canonical(file.policy.files.front(), ignored)];
    rules.resize(file.report.decided.size());
    return rules;
  };
  for (const TestedFile& file : files) {
    std::vector<bool>& rules = of_policy(file);
    for (size_t i = 0; i < rules.size(); i++)
      if (file.report.decided[i]) rules[i] = true;
  }
  for (TestedFile& file : files) file.report.decided = of_policy(file);
}

std::optional<TestFormat> test_format(std::string_view word) {
  for (const auto& [name, format] : kTestFormats)
    if (name == word) return format;
  return std::nullopt;
}

std::string test_output(const std::vector<TestedFile>& files, TestFormat format) {
  switch (format) {
    case TestFormat::tap:
      return to_tap(files);
    case TestFormat::junit:
      return to_junit(files);
    case TestFormat::text:
      break;
  }
  return to_text(files);
}

}  // namespace bpfwarden::loader
