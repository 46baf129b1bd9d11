// bpfwarden rollback: bring back the policy that was active before.
#include <CLI/CLI.hpp>
#include <memory>

#include "loader/cli/cmd.h"
#include "loader/rollout/applied_output.h"
#include "loader/rollout/rollout.h"

namespace bpfwarden::loader {
namespace {

int run_rollback(bool as_json) {
  const auto back = rollback();
  if (!back) return print_error(back.error());
  print_applied(*back->policy.compiled, back->applied, as_json);
  return 0;
}

}  // namespace

void add_rollback(CLI::App& app, Command& chosen) {
  auto json = std::make_shared<bool>(false);
  CLI::App* verb =
      app.add_subcommand("rollback", "Bring back the policy that was active before this one");
  verb->add_flag("--json", *json, "the result as JSON");
  verb->footer("example: bpfwarden rollback");
  verb->callback([json, &chosen] { chosen = [json] { return run_rollback(*json); }; });
}

}  // namespace bpfwarden::loader
