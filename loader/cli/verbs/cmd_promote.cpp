// bpfwarden promote: make the staged policy the active one.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "loader/cli/cmd.h"
#include "loader/cli/options.h"
#include "loader/rollout/applied_output.h"
#include "loader/rollout/rollout.h"

namespace bpfwarden::loader {
namespace {

struct PromoteArguments {
  bool json = false;
  PromoteOptions promote;
};

int run_promote(const PromoteArguments& options) {
  const auto promoted = promote(options.promote);
  if (!promoted) return print_error(promoted.error());
  std::fputs(promoted->taken_away.c_str(), stderr);
  print_applied(*promoted->policy.compiled, promoted->applied, options.json);
  if (!options.json) print_stale_initramfs();
  return 0;
}

}  // namespace

void add_promote(CLI::App& app, Command& chosen) {
  auto options = std::make_shared<PromoteArguments>();
  CLI::App* verb = app.add_subcommand("promote", "Make the staged policy the active one");
  add_confirm_within(*verb, options->promote.apply);
  add_preflight(*verb, options->promote.preflight);
  add_accept_denials(*verb, options->promote.preflight);
  verb->add_flag("--json", options->json, "the result as JSON");
  verb->footer("example: bpfwarden promote");
  verb->callback([options, &chosen] { chosen = [options] { return run_promote(*options); }; });
}

}  // namespace bpfwarden::loader
