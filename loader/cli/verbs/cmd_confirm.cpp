// bpfwarden confirm: keep the policy that awaits it.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "loader/cli/answer.h"
#include "loader/cli/cmd.h"
#include "loader/rollout/applied_output.h"
#include "loader/rollout/rollout.h"
#include "loader/text/json_members.h"

namespace bpfwarden::loader {
namespace {

int run_confirm() {
  const auto confirmed = confirm(progress_at_terminal());
  if (!confirmed) return print_error(confirmed.error());
  if (in_json())
    return put_answer(object_of({{"generation", confirmed->generation},
                                 {"sealed", sealed_word(confirmed->sealed)}})),
           0;
  std::printf("confirmed: generation %llu stays, and comes back after a reboot\n",
              static_cast<unsigned long long>(confirmed->generation));
  print_sealed(confirmed->sealed);
  print_stale_initramfs();
  return 0;
}

}  // namespace

void add_confirm(CLI::App& app, Command& chosen) {
  CLI::App* verb =
      app.add_subcommand("confirm", "Keep the policy that was applied with --confirm-within");
  verb->footer("example: bpfwarden confirm");
  verb->callback([&chosen] { chosen = run_confirm; });
}

}  // namespace bpfwarden::loader
