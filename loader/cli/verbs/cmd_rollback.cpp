// bpfwarden rollback: bring back the policy that was active before.
#include <CLI/CLI.hpp>
#include <memory>

#include "loader/cli/answer.h"
#include "loader/cli/cmd.h"
#include "loader/cli/options.h"
#include "loader/rollout/rollout.h"

namespace bpfwarden::loader {
namespace {

int run_rollback(const ApplyOptions& options) {
  const auto back = rollback(options);
  if (!back) return print_error(back.error());
  answer_applied(*back->policy.compiled, back->applied);
  return 0;
}

}  // namespace

void add_rollback(CLI::App& app, Command& chosen) {
  auto options = std::make_shared<ApplyOptions>();
  CLI::App* verb =
      app.add_subcommand("rollback", "Bring back the policy that was active before this one");
  add_confirm_within(*verb, *options);
  verb->footer("example: bpfwarden rollback");
  verb->callback([options, &chosen] { chosen = [options] { return run_rollback(*options); }; });
}

}  // namespace bpfwarden::loader
