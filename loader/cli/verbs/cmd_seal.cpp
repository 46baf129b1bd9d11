// bpfwarden seal: the policy stays as it is until the next boot.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "loader/cli/answer.h"
#include "loader/cli/cmd.h"
#include "loader/rollout/applied_output.h"
#include "loader/rollout/seal.h"
#include "loader/text/json_members.h"

namespace bpfwarden::loader {
namespace {

int run_seal() {
  const auto sealed = seal(progress_at_terminal());
  if (!sealed) return print_error(sealed.error());
  if (in_json()) return put_answer(object_of({{"sealed", sealed_word(*sealed)}})), 0;
  print_sealed(*sealed);
  return 0;
}

}  // namespace

void add_seal(CLI::App& app, Command& chosen) {
  CLI::App* verb =
      app.add_subcommand("seal", "Keep the policy as it is until the next boot, from root too");
  verb->footer("example: bpfwarden seal");
  verb->callback([&chosen] { chosen = run_seal; });
}

}  // namespace bpfwarden::loader
