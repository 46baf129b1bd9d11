// bpfwarden promote: make the staged policy the active one.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "loader/cli/answer.h"
#include "loader/cli/cmd.h"
#include "loader/cli/options.h"
#include "loader/rollout/rollout.h"

namespace bpfwarden::loader {
namespace {

int run_promote(const PromoteOptions& options) {
  const auto promoted = promote(options);
  if (!promoted) return print_error(promoted.error());
  if (!in_json()) std::fputs(promoted->taken_away.c_str(), stderr);
  answer_applied(*promoted->policy.compiled, promoted->applied,
                 {.taken_away = promoted->taken_away});
  return 0;
}

}  // namespace

void add_promote(CLI::App& app, Command& chosen) {
  auto options = std::make_shared<PromoteOptions>();
  CLI::App* verb = app.add_subcommand("promote", "Make the staged policy the active one");
  add_confirm_within(*verb, options->apply);
  add_preflight(*verb, options->preflight);
  add_accept_denials(*verb, options->preflight);
  verb->footer("example: bpfwarden promote");
  verb->callback([options, &chosen] { chosen = [options] { return run_promote(*options); }; });
}

}  // namespace bpfwarden::loader
