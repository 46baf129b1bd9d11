// bpfwarden inventory: every BPF program in the kernel, and who vouches for it.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "loader/cli/cmd.h"
#include "loader/inventory/inventory.h"
#include "loader/inventory/inventory_output.h"
#include "loader/kernel/hooks.h"
#include "loader/rollout/suggest_policy.h"

namespace bpfwarden::loader {
namespace {

struct InventoryArguments {
  uint32_t id = 0;  // 0: all
  bool json = false;
  bool unsigned_only = false;
  bool as_policy = false;
};

// What could not be looked at is no reason to hide the rest, and no reason to be silent.
void tell_missed(const std::vector<Error>& missed) {
  for (const Error& error : missed)
    std::fprintf(stderr, "bpfwarden: warning: attachments may be missing: %s\n",
                 error.message.c_str());
}

// What went around a hook that is gone is listed as if it had been asked about. First, and on
// stderr, where JSON has no room for it. The exit code.
int tell_missing_hooks() {
  const auto pins = open_pins();
  if (!pins || !*pins) return 0;  // reported by what follows, or no hooks at all
  const auto hooks = read_hooks(**pins);
  if (!hooks) return print_error(hooks.error());
  if (hooks->missing.empty()) return 0;
  return print_error({0, missing_hooks_text(*hooks), kMissingHooksHint});
}

// `suggest`, from what is there now.
int print_policy() {
  SuggestRequest request;
  request.events.is_left_out = true;
  const auto suggested = suggest_policy(request);
  if (!suggested) return print_error(suggested.error());
  std::fputs(suggested->text.c_str(), stdout);
  return 0;
}

int print(const std::vector<ListedProgram>& programs, const InventoryArguments& options) {
  if (options.json) {
    std::puts(inventory_to_json(programs).dump(2).c_str());
    return 0;
  }
  const Moment now = this_moment();
  for (const ListedProgram& program : programs)
    std::fputs(
        (options.id != 0 ? inventory_details(program, now) : inventory_text(program, now)).c_str(),
        stdout);
  return 0;
}

int run_inventory(const InventoryArguments& options) {
  if (options.as_policy) return print_policy();
  std::vector<Error> missed;
  const int alarm = tell_missing_hooks();
  auto programs = read_inventory(&missed);
  if (!programs) return print_error(programs.error());
  tell_missed(missed);
  if (options.unsigned_only) std::erase_if(*programs, has_verified_signature);
  if (options.id != 0) {
    std::erase_if(*programs, [&](const ListedProgram& one) { return one.listed.id != options.id; });
    if (programs->empty())
      return print_error({0, "there is no program " + std::to_string(options.id),
                          "see `bpfwarden inventory` for the ids"});
  }
  return std::max(print(*programs, options), alarm);
}

}  // namespace

void add_inventory(CLI::App& app, Command& chosen) {
  auto options = std::make_shared<InventoryArguments>();
  CLI::App* verb = app.add_subcommand(
      "inventory", "List every BPF program in the kernel, where it is, and who vouches for it");
  auto* id = verb->add_option("--id", options->id, "only this program, with all that is known")
                 ->type_name("ID")
                 ->check(CLI::PositiveNumber);
  verb->add_flag("--unsigned", options->unsigned_only, "only those without a verified signature")
      ->excludes(id);
  auto* json = verb->add_flag("--json", options->json, "as JSON");
  verb->add_flag("--as-policy", options->as_policy,
                 "the smallest policy that admits them; `suggest` knows more")
      ->excludes(json)
      ->excludes(id);
  verb->footer("example: bpfwarden inventory --unsigned");
  verb->callback([options, &chosen] { chosen = [options] { return run_inventory(*options); }; });
}

}  // namespace bpfwarden::loader
