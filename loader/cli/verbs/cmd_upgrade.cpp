// bpfwarden upgrade: this version's kernel part takes over from the active one.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "loader/cli/answer.h"
#include "loader/cli/cmd.h"
#include "loader/kernel/part.h"
#include "loader/rollout/takeover.h"
#include "loader/text/json_members.h"

namespace bpfwarden::loader {
namespace {

nlohmann::json part_json(const Part& part) {
  return object_of({{"bpfwarden_version", part.version}, {"abi", part.abi}});
}

int run_upgrade() {
  const auto upgraded = upgrade(progress_at_terminal());
  if (!upgraded) return print_error(upgraded.error());
  const Part now = part_of_this_binary();
  if (in_json())
    return put_answer(object_of({{"unchanged", upgraded->unchanged},
                                 {"kernel_part", part_json(now)},
                                 {"kernel_part_before", part_json(upgraded->before)}})),
           0;
  if (upgraded->unchanged)
    std::printf("the active kernel part is of bpfwarden %s already\n", now.version.c_str());
  else
    std::printf("taken over: the kernel part of bpfwarden %s decides, that of %s is gone\n",
                now.version.c_str(), upgraded->before.version.c_str());
  return 0;
}

}  // namespace

void add_upgrade(CLI::App& app, Command& chosen) {
  CLI::App* verb = app.add_subcommand(
      "upgrade", "Take over from the active kernel part of another version, without a gap");
  verb->footer("example: bpfwarden upgrade");
  verb->callback([&chosen] { chosen = run_upgrade; });
}

}  // namespace bpfwarden::loader
