// bpfwarden inventory: every BPF program in the kernel, and who vouches for it.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "loader/cli/answer.h"
#include "loader/cli/cmd.h"
#include "loader/inventory/inventory.h"
#include "loader/inventory/inventory_filter.h"
#include "loader/inventory/inventory_output.h"
#include "loader/kernel/hooks.h"
#include "loader/rollout/suggest_policy.h"

namespace bpfwarden::loader {
namespace {

struct InventoryArguments {
  uint32_t id = 0;  // 0: all
  bool unsigned_only = false;
  bool as_policy = false;
  bool all = false;
  bool fail_on_resident = false;
  InventoryFilter filter;

  [[nodiscard]] bool is_filtered() const {
    return id != 0 || unsigned_only || filter.standing || !filter.key.empty() ||
           !filter.attach.empty() || !filter.unit.empty();
  }
};

// What could not be looked at is no reason to hide the rest, and no reason to be silent.
void tell_missed(const std::vector<Error>& missed) {
  for (const Error& error : missed)
    if (in_json())
      print_error(Error(error).within("attachments may be missing"));
    else
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
  if (in_json()) return put_answer(inventory_to_json(programs)), 0;
  const Moment now = this_moment();
  if (options.id != 0) {
    std::fputs(inventory_details(programs.front(), now).c_str(), stdout);
    return 0;
  }
  std::printf("%s\n", inventory_summary(programs).c_str());
  const bool is_folded = !options.all && !options.is_filtered();
  size_t folded = 0;
  for (const ListedProgram& program : programs) {
    if (is_folded && program.standing == Standing::own)
      folded++;
    else
      std::fputs(inventory_text(program, now).c_str(), stdout);
  }
  if (folded != 0)
    std::printf("and %zu of bpfwarden itself, which hold the policy: `inventory --all`\n", folded);
  return 0;
}

// For a check at boot: asked of all programs, whichever are shown.
int judge_residents(const std::vector<ListedProgram>& programs) {
  const auto count = std::ranges::count(programs, Standing::resident, &ListedProgram::standing);
  if (count == 0) return 0;
  return print_error({0,
                      std::to_string(count) + (count == 1 ? " program is" : " programs are") +
                          " from before the first policy, or no policy is active",
                      "`bpfwarden inventory --standing resident` says how each is taken away; "
                      "bpfwarden.service applies the policy before others load theirs"});
}

int run_inventory(const InventoryArguments& options) {
  if (options.as_policy && in_json())
    return print_error({0, "--as-policy prints a policy, and no JSON",
                        "`bpfwarden suggest --no-events --json` has it in JSON"}),
           kWrongUse;
  if (options.as_policy) return print_policy();
  std::vector<Error> missed;
  int alarm = tell_missing_hooks();
  auto programs = read_inventory(&missed);
  if (!programs) return print_error(programs.error());
  tell_missed(missed);
  if (options.fail_on_resident) alarm = std::max(alarm, judge_residents(*programs));
  std::erase_if(*programs,
                [&](const ListedProgram& one) { return !is_asked_for(one, options.filter); });
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
  verb->add_flag("--all", options->all, "bpfwarden's own, too, which are else folded into one line")
      ->excludes(id);
  verb->add_option_function<std::string>(
          "--standing",
          [options](const std::string& word) { options->filter.standing = standing_named(word); },
          "only such: admitted, would-deny, resident, own or unexplained")
      ->check(CLI::IsMember({"admitted", "would-deny", "resident", "own", "unexplained"}));
  verb->add_option("--key", options->filter.key, "only what this key of the policy signed");
  verb->add_option("--attach", options->filter.attach,
                   "only at this attach point; `*` at its end stands for anything");
  verb->add_option("--unit", options->filter.unit,
                   "only what a process of this systemd unit holds");
  verb->add_flag("--fail-on-resident", options->fail_on_resident,
                 "exit 1 if a program is from before the first policy: a check at boot");
  verb->add_flag("--as-policy", options->as_policy,
                 "the smallest policy that admits them; `suggest` knows more")
      ->excludes(id);
  verb->footer("example: bpfwarden inventory --unsigned");
  verb->callback([options, &chosen] { chosen = [options] { return run_inventory(*options); }; });
}

}  // namespace bpfwarden::loader
