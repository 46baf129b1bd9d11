#include "policy/answers/test_file.h"

#include <algorithm>
#include <array>

#include "policy/language/syntax_reader.h"
#include "policy/language/words.h"

namespace bpfwarden::policy {
namespace {

using std::string;

constexpr size_t kMaxName = 200;
constexpr auto kExpectations = std::to_array<std::pair<std::string_view, Expectation>>({
    {"allow", Expectation::allow},
    {"deny", Expectation::deny},
    {"load-only", Expectation::load_only},
});

std::vector<std::string_view> names_with(std::vector<std::string_view> own) {
  const auto facts = situation_names();
  own.insert(own.end(), facts.begin(), facts.end());
  return own;
}

TestCase read_case(const Value& value, const SituationSettings& defaults,
                   DiagnosticList& diagnostics) {
  TestCase test;
  test.position = value.position;
  test.situation = defaults;
  const auto* table = std::get_if<Table>(&value.data);
  if (!table) {
    diagnostics.error(value.position, "a test must be a table, not " + string(value.kind()),
                      "a test begins with [[tests]]");
    return test;
  }
  const Fields fields(*table, value.position, "a test",
                      names_with({"name", "expect", "rule", "mode"}), diagnostics);
  if (const Entry* entry = fields.require("name", "say what must hold"))
    if (const string* name = fields.label(*entry, kMaxName)) test.name = *name;
  read_situation(fields, test.situation, diagnostics);
  if (!test.situation.attach && !fields.find("attach"))
    diagnostics.error(value.position, "this test has no `attach`", "add attach = \"xdp@eth0\"");
  if (const Entry* entry = fields.require("expect", "add expect = \"allow\" or \"deny\""))
    test.expected =
        fields.word<Expectation>(*entry, kExpectations).value_or(Expectation::deny);
  if (const Entry* entry = fields.find("rule"))
    if (const string* rule = fields.string(*entry)) test.rule = *rule;
  if (const Entry* entry = fields.find("mode")) test.mode = fields.word<Mode>(*entry, kModeWords);
  return test;
}

SituationSettings read_defaults(const Entry& entry, DiagnosticList& diagnostics) {
  SituationSettings defaults;
  const auto* table = std::get_if<Table>(&entry.value.data);
  if (!table) {
    diagnostics.error(entry.value.position, "`defaults` must be a table",
                      "write [defaults] on a line of its own");
    return defaults;
  }
  const Fields fields(*table, entry.position, "the defaults", situation_names(), diagnostics);
  read_situation(fields, defaults, diagnostics);
  return defaults;
}

TestFile read_file(const Table& document, const std::filesystem::path& path,
                   DiagnosticList& diagnostics) {
  TestFile file;
  const Fields fields(document, {}, "a test file", {"policy", "defaults", "tests"}, diagnostics);
  if (const Entry* entry = fields.require("policy", "add policy = \"…\", the file under test"))
    if (const string* name = fields.string(*entry)) file.policy = path.parent_path() / *name;
  SituationSettings defaults;
  if (const Entry* entry = fields.find("defaults")) defaults = read_defaults(*entry, diagnostics);
  const Entry* tests = fields.require("tests", "a test begins with [[tests]]");
  const auto* array = tests ? std::get_if<Array>(&tests->value.data) : nullptr;
  if (tests && !array)
    diagnostics.error(tests->value.position, "`tests` must be an array of tables",
                      "a test begins with [[tests]]");
  if (!array) return file;
  for (const Value& value : *array) file.cases.push_back(read_case(value, defaults, diagnostics));
  return file;
}

}  // namespace

TestFileResult parse_test_file(const std::filesystem::path& path) {
  TestFileResult result;
  DiagnosticList diagnostics({path.string()});
  auto text = read_text(path);
  if (text) {
    result.sources.push_back({path.string(), std::move(*text)});
    if (const auto document = read_syntax(result.sources.front(), 0, diagnostics)) {
      TestFile file = read_file(*document, path, diagnostics);
      if (!diagnostics.has_errors()) result.tests = std::move(file);
    }
  } else {
    diagnostics.error({}, "the test file " + text.error().message,
                      "check the path, and that you may read the file");
  }
  result.diagnostics = diagnostics.take();
  return result;
}

}  // namespace bpfwarden::policy
