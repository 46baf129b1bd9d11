// bpfwarden test: policy tests, and how much of a policy they reach.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <ctime>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>

#include "loader/cli/answer.h"
#include "loader/cli/cmd.h"
#include "loader/policies/policy_file.h"
#include "loader/policies/test_output.h"

namespace bpfwarden::loader {
namespace {

struct TestArguments {
  std::vector<std::string> files;
  std::string format = "text";
  double min_coverage = 0;
};

// What is wrong with the files goes to stderr: stdout is for the results.
std::optional<TestedFile> run_file(const std::string& path) {
  auto read = policy::parse_test_file(path);
  put_diagnostics(read.diagnostics, read.sources);
  if (!read.tests) return std::nullopt;
  policy::ParseResult parsed = parse_policy_file(read.tests->policy);
  if (!parsed) {
    put_diagnostics(parsed.diagnostics, parsed.sources);
    return std::nullopt;
  }
  auto compiled = compile_policy(std::move(parsed));
  if (!compiled) {
    (void)print_error(compiled.error());
    return std::nullopt;
  }
  TestedFile tested = {path, std::move(compiled->policy), {}};
  tested.report =
      policy::run_tests(*read.tests, tested.policy, *compiled->image, std::time(nullptr));
  return tested;
}

int verdict(const std::vector<TestedFile>& files, const TestArguments& options) {
  int code = 0;
  std::set<std::string> told;
  for (const TestedFile& file : files) {
    if (file.report.failed() > 0) code = 1;
    if (file.report.coverage() >= options.min_coverage) continue;
    code = 1;
    if (!told.insert(file.policy.files.front()).second) continue;
    std::fprintf(stderr,
                 "bpfwarden: %s: %.1f %% of the rules are covered, --min-coverage is %.1f\n",
                 file.policy.files.front().c_str(), file.report.coverage(), options.min_coverage);
  }
  return code;
}

int run_test(const TestArguments& options) {
  std::vector<TestedFile> tested;
  bool is_wrong = false;
  for (const std::string& file : options.files) {
    auto result = run_file(file);
    if (result)
      tested.push_back(std::move(*result));
    else
      is_wrong = true;
  }
  share_coverage(tested);
  const int status = is_wrong ? kWrongUse : verdict(tested, options);
  if (in_json())
    put_answer(test_json(tested, status == 0));
  else
    std::fputs(test_output(tested, *test_format(options.format)).c_str(), stdout);
  return status;
}

}  // namespace

void add_test(CLI::App& app, Command& chosen) {
  auto options = std::make_shared<TestArguments>();
  CLI::App* verb = app.add_subcommand("test", "Run policy tests and say which rules they reach");
  verb->add_option("files", options->files, "test files (TOML, see docs/testing.md)")->required();
  verb->add_flag("--json")->description("short for --format json");
  verb->add_option("--format", options->format, "how to print the results")
      ->check(CLI::IsMember({"text", "tap", "junit", "json"}));
  verb->add_option("--min-coverage", options->min_coverage,
                   "percent of each policy's rules that must decide in some test")
      ->check(CLI::Range(0.0, 100.0));
  verb->footer("example: bpfwarden test policies/*.test.toml");
  verb->callback([options, &chosen] { chosen = [options] { return run_test(*options); }; });
}

}  // namespace bpfwarden::loader
