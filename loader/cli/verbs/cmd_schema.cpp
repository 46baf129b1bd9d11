// bpfwarden schema: the JSON Schema of policy files.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "loader/cli/cmd.h"
#include "loader/policies/schema.h"

namespace bpfwarden::loader {

void add_schema(CLI::App& app, Command& chosen) {
  CLI::App* verb = app.add_subcommand("schema", "Print the JSON Schema of policy files");
  verb->footer("example: bpfwarden schema > policy.schema.json");
  verb->callback([&chosen] {
    chosen = [] {
      std::fputs(policy_schema().c_str(), stdout);
      return 0;
    };
  });
}

}  // namespace bpfwarden::loader
