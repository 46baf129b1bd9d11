// bpfwarden schema: the JSON Schema of policy files, and of what verbs print.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "loader/cli/cmd.h"
#include "loader/policies/schema.h"
#include "loader/text/json_shapes.h"
#include "policy/text/nearest.h"

namespace bpfwarden::loader {

namespace {

int run_schema(const std::vector<std::string>& words) {
  if (words.empty()) return std::fputs(policy_schema().c_str(), stdout) < 0 ? 1 : 0;
  std::string verb;
  for (const std::string& word : words) verb += (verb.empty() ? "" : " ") + word;
  const auto schema = answer_schema(verb);
  if (schema) return std::fputs(schema->c_str(), stdout) < 0 ? 1 : 0;
  const auto verbs = verbs_with_schema();
  const std::vector<std::string_view> names(verbs.begin(), verbs.end());
  const auto near = policy::nearest(verb, names);
  return print_error({0, "there is no schema of `" + verb + "`",
                      near ? "did you mean `" + std::string(*near) + "`?"
                           : "`bpfwarden --help` lists the verbs"}),
         kWrongUse;
}

}  // namespace

void add_schema(CLI::App& app, Command& chosen) {
  auto words = std::make_shared<std::vector<std::string>>();
  CLI::App* verb = app.add_subcommand(
      "schema", "Print the JSON Schema of policy files, or of what a verb prints with --json");
  verb->add_option("--json", *words, "of that verb's JSON: check, or keys list")
      ->expected(1, 2)
      ->type_name("VERB");
  verb->footer("example: bpfwarden schema --json status");
  verb->callback([words, &chosen] { chosen = [words] { return run_schema(*words); }; });
}

}  // namespace bpfwarden::loader
