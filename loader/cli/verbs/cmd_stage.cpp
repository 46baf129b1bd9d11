// bpfwarden stage: ask a policy beside the active one, without letting it decide.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "loader/cli/answer.h"
#include "loader/cli/cmd.h"
#include "loader/cli/options.h"
#include "loader/policies/host_names.h"
#include "loader/policies/kernel_fit.h"
#include "loader/rollout/applied_output.h"
#include "loader/rollout/by_order.h"
#include "loader/rollout/rollout.h"
#include "loader/signed/signed_policy.h"
#include "loader/text/json_members.h"

namespace bpfwarden::loader {
namespace {

struct StageArguments {
  std::string file;
  bool off = false;
  PreflightOptions preflight;
};

int run_unstage() {
  const auto had = unstage();
  if (!had) return print_error(had.error());
  if (in_json()) return put_answer(object_of({{"was_staged", *had}})), 0;
  std::puts(*had ? "nothing is staged any more" : "nothing was staged");
  return 0;
}

// What it would refuse; it decides nothing, so that is no error.
void print_preflight(const CompiledPolicy& staged, const EventSource& events) {
  const auto found = preflight(staged, events);
  if (!found) return void(print_error(found.error()));
  if (found->is_clean()) std::puts("would refuse nothing that runs or was recorded");
  std::fputs(preflight_text(*found).c_str(), stdout);
}

int answer_staged(const CompiledPolicy& staged, uint64_t generation, const EventSource& events) {
  const auto found = preflight(staged, events);
  if (!found) print_error(found.error());
  put_answer(object_of({{"policy", staged.policy.name},
                        {"policy_version", staged.policy.version},
                        {"generation", generation},
                        {"preflight", found ? preflight_json(staged, *found) : nlohmann::json()}}));
  return 0;
}

int tell_staged(const CompiledPolicy& staged, const Result<uint64_t>& number,
                const EventSource& events) {
  if (!number) return print_error(number.error());
  if (in_json()) return answer_staged(staged, *number, events);
  std::printf("staged: '%s' version %llu, generation %llu\n", staged.policy.name.c_str(),
              static_cast<unsigned long long>(staged.policy.version),
              static_cast<unsigned long long>(*number));
  print_preflight(staged, events);
  std::puts(
      "next: `bpfwarden status` counts where it differs, `bpfwarden events` tells each; "
      "`bpfwarden promote` makes it active");
  return 0;
}

// As it was signed, with nothing of this host's added.
int run_stage_signed(const StageArguments& options) {
  const auto policy = read_signed_policy(options.file);
  if (!policy) return print_error(policy.error());
  put_diagnostics(policy->checked.diagnostics, policy->checked.sources);
  const CompiledPolicy& compiled = *policy->checked.compiled;
  const auto unfit = held_against(compiled, abilities_of_kernel(), Occasion::change);
  put_diagnostics(unfit, policy->checked.sources);
  if (Status fit = require_held(unfit); !fit) return print_error(fit.error());
  return tell_staged(compiled, stage_signed(*policy), options.preflight.events);
}

int run_stage(const StageArguments& options) {
  if (options.off) return run_unstage();
  if (is_policy_folder(options.file)) return run_stage_signed(options);
  CheckedPolicy checked = check_policy_file(options.file);
  put_diagnostics(checked.diagnostics, checked.sources);
  if (!checked.compiled)
    return print_error({0, "the policy has errors; nothing was changed", "correct them", true});
  const auto not_found = find_on_host(*checked.compiled);
  if (!not_found) return print_error(not_found.error());
  put_diagnostics(*not_found, checked.sources);
  const auto unfit = held_against(*checked.compiled, abilities_of_kernel(), Occasion::change);
  put_diagnostics(unfit, checked.sources);
  if (Status fit = require_held(unfit); !fit) return print_error(fit.error());
  return tell_staged(*checked.compiled, stage(checked), options.preflight.events);
}

}  // namespace

void add_stage(CLI::App& app, Command& chosen) {
  auto options = std::make_shared<StageArguments>();
  CLI::App* verb = app.add_subcommand(
      "stage",
      "Ask a policy beside the active one; it decides nothing, each difference is an event");
  auto* file =
      verb->add_option("file", options->file, "the policy (TOML), or the folder of a signed one");
  auto* off = verb->add_flag("--off", options->off, "stage nothing any more");
  file->excludes(off);
  add_preflight(*verb, options->preflight);
  verb->footer("example: bpfwarden stage policy-v13.toml");
  verb->callback([options, &chosen] {
    if (options->file.empty() && !options->off) throw CLI::RequiredError("file");
    chosen = [options] { return run_stage(*options); };
  });
}

}  // namespace bpfwarden::loader
