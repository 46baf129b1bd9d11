// bpfwarden rollback: bring back the policy that was active before.
#include <CLI/CLI.hpp>
#include <memory>

#include "loader/cli/cmd.h"
#include "loader/cli/options.h"
#include "loader/rollout/applied_output.h"
#include "loader/rollout/rollout.h"

namespace bpfwarden::loader {
namespace {

struct RollbackArguments {
  ApplyOptions apply;
  bool json = false;
};

int run_rollback(const RollbackArguments& options) {
  const auto back = rollback(options.apply);
  if (!back) return print_error(back.error());
  print_applied(*back->policy.compiled, back->applied, options.json);
  if (!options.json) print_stale_initramfs();
  return 0;
}

}  // namespace

void add_rollback(CLI::App& app, Command& chosen) {
  auto options = std::make_shared<RollbackArguments>();
  CLI::App* verb =
      app.add_subcommand("rollback", "Bring back the policy that was active before this one");
  add_confirm_within(*verb, options->apply);
  verb->add_flag("--json", options->json, "the result as JSON");
  verb->footer("example: bpfwarden rollback");
  verb->callback([options, &chosen] { chosen = [options] { return run_rollback(*options); }; });
}

}  // namespace bpfwarden::loader
