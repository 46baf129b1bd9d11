// bpfwarden apply: make a policy the active one.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>

#include "loader/cli/answer.h"
#include "loader/cli/cmd.h"
#include "loader/cli/options.h"
#include "loader/policies/host_names.h"
#include "loader/policies/kernel_fit.h"
#include "loader/policies/policy_store.h"
#include "loader/rollout/applied_output.h"
#include "loader/rollout/apply.h"
#include "loader/rollout/apply_signed.h"
#include "loader/rollout/widening.h"
#include "loader/text/json_members.h"
#include "loader/text/service_manager.h"

namespace bpfwarden::loader {
namespace {

struct ApplyArguments {
  std::string file;
  bool saved = false;
  bool only_preflight = false;
  bool only_check = false;
  PreflightOptions preflight;
  ApplyOptions apply;
};

// What was confirmed before a reboot is not asked about again.
Result<CheckedPolicy> read_saved(ApplyArguments& options) {
  options.apply.confirm_within = 0;
  options.preflight.accept_denials = true;
  return load_for_boot();
}

Result<CheckedPolicy> read_file(const ApplyArguments& options) {
  CheckedPolicy checked = check_policy_file(options.file);
  put_diagnostics(checked.diagnostics, checked.sources);
  if (!checked.compiled)
    return unreadable(fail("the policy has errors; nothing was changed", "correct them"));
  return checked;
}

// Says what this kernel cannot hold of the policy.
Status require_fit(const std::vector<policy::Diagnostic>& found, const CheckedPolicy& checked) {
  put_diagnostics(found, checked.sources);
  return require_held(found);
}

// All of what it would refuse; nothing is changed.
int run_preflight(const CompiledPolicy& next, const EventSource& events) {
  const auto found = preflight(next, events);
  if (!found) return print_error(found.error());
  if (in_json()) return put_answer(preflight_json(next, *found)), found->is_clean() ? 0 : 1;
  const std::string text = preflight_text(*found, SIZE_MAX);
  std::fputs(
      found->is_clean() ? ("would refuse nothing that is known\n" + text).c_str() : text.c_str(),
      stdout);
  return found->is_clean() ? 0 : 1;
}

// For configuration management: 0 nothing to do, 1 apply would change something.
int run_check(const CheckedPolicy& next) {
  const auto changes = would_change(next);
  if (!changes) return print_error(changes.error()), kWrongUse;
  if (in_json())
    return put_answer(object_of({{"would_change", *changes},
                                 {"policy", next.compiled->policy.name},
                                 {"policy_version", next.compiled->policy.version}})),
           *changes ? 1 : 0;
  std::puts(*changes ? "would change the active policy" : "this very policy is active");
  return *changes ? 1 : 0;
}

int print_unread(const Error& error, const ApplyArguments& options) {
  const int status = print_error(error);
  return options.only_check ? kWrongUse : status;
}

// `widens`: the line of widening_line().
int make_active(const ApplyArguments& options, const CompiledPolicy& compiled,
                const std::string& widens, const std::function<Result<Applied>()>& apply_it) {
  const auto taken_away = require_accepted(compiled, options.preflight);
  if (!taken_away) return print_error(taken_away.error());
  if (!in_json()) std::fputs((*taken_away + widens).c_str(), stderr);
  const auto applied = apply_it();
  if (!applied) return print_error(applied.error());
  answer_applied(compiled, *applied, {.widening = widens, .taken_away = *taken_away});
  tell_service_manager(policy_line(compiled));
  return 0;
}

// What was signed decides, with nothing of this host's added.
int run_apply_signed(const ApplyArguments& options) {
  const auto policy = read_signed_policy(options.file);
  if (!policy) return print_unread(policy.error(), options);
  put_diagnostics(policy->checked.diagnostics, policy->checked.sources);
  const CompiledPolicy& compiled = *policy->checked.compiled;
  if (options.only_check) return run_check(policy->checked);
  const auto unfit = held_against(compiled, abilities_of_kernel(), Occasion::change);
  if (Status fit = require_fit(unfit, policy->checked); !fit) return print_error(fit.error());
  if (options.only_preflight) return run_preflight(compiled, options.preflight.events);
  return make_active(options, compiled, widening_line(compiled, options.file),
                     [&] { return apply_signed(*policy, options.apply); });
}

int run_apply(ApplyArguments& options) {
  options.apply.progress = progress_at_terminal();
  if (!options.saved && is_policy_folder(options.file)) return run_apply_signed(options);
  auto checked = options.saved ? read_saved(options) : read_file(options);
  if (!checked) return print_unread(checked.error(), options);
  const bool changes = !options.saved && !options.only_check && !options.only_preflight;
  // Before names of this host are added, which the file of the active policy has none of either.
  const std::string widens = changes ? widening_line(*checked->compiled, options.file) : "";
  const auto not_found = find_on_host(*checked->compiled);
  if (!not_found) return print_error(not_found.error());
  // At boot devices and modules are still to come.
  if (!options.saved) put_diagnostics(*not_found, checked->sources);
  if (options.only_check) return run_check(*checked);
  const auto unfit = held_against(*checked->compiled, abilities_of_kernel(),
                                  options.saved ? Occasion::boot : Occasion::change);
  if (Status fit = require_fit(unfit, *checked); !fit) return print_error(fit.error());
  if (options.only_preflight) return run_preflight(*checked->compiled, options.preflight.events);
  return make_active(options, *checked->compiled, widens,
                     [&] { return apply(*checked, options.apply); });
}

}  // namespace

void add_apply(CLI::App& app, Command& chosen) {
  auto options = std::make_shared<ApplyArguments>();
  CLI::App* verb = app.add_subcommand("apply",
                                      "Make a policy the active one; it stays when this "
                                      "command ends");
  auto* file =
      verb->add_option("file", options->file, "the policy (TOML), or the folder of a signed one");
  auto* saved = verb->add_flag("--saved", options->saved,
                               "what was active and confirmed before the last boot");
  file->excludes(saved);
  add_confirm_within(*verb, options->apply);
  add_preflight(*verb, options->preflight);
  add_accept_denials(*verb, options->preflight);
  verb->add_flag("--preflight", options->only_preflight,
                 "only list what it would refuse; exit 1 if there is anything")
      ->excludes(saved);
  verb->add_flag(
          "--check", options->only_check,
          "change nothing; exit 0 if this very policy is active, 1 if not, 2 if nobody can say")
      ->excludes(saved);
  verb->footer("example: bpfwarden apply /etc/bpfwarden/policy.toml --confirm-within 10m");
  verb->callback([options, &chosen] {
    if (options->file.empty() && !options->saved) throw CLI::RequiredError("file");
    chosen = [options] { return run_apply(*options); };
  });
}

}  // namespace bpfwarden::loader
