// bpfwarden off: no policy any more.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "loader/cli/answer.h"
#include "loader/cli/cmd.h"
#include "loader/rollout/applied_output.h"
#include "loader/rollout/apply.h"
#include "loader/text/json_members.h"

namespace bpfwarden::loader {
namespace {

int run_off() {
  auto dropped = switch_off();
  if (!dropped) return print_error(dropped.error());
  if (in_json()) return put_answer(object_of({{"was_active", *dropped}})), 0;
  std::puts(*dropped ? "off: the hooks are detached, the policy and its keyring are gone"
                     : "off: there was nothing to detach");
  print_stale_initramfs();
  return 0;
}

}  // namespace

void add_off(CLI::App& app, Command& chosen) {
  CLI::App* verb = app.add_subcommand("off", "Detach the hooks and forget the policy");
  verb->footer("example: bpfwarden off");
  verb->callback([&chosen] { chosen = run_off; });
}

}  // namespace bpfwarden::loader
