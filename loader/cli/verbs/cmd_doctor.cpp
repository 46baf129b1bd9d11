// bpfwarden doctor: can this kernel enforce a policy, and if not, what is missing?
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "loader/btf/kernel_abilities.h"
#include "loader/cli/answer.h"
#include "loader/cli/cmd.h"
#include "loader/kernel/hooks.h"
#include "loader/rollout/boot_options.h"
#include "loader/rollout/probe.h"
#include "loader/rollout/signed_trial.h"
#include "loader/status/status_json.h"
#include "loader/text/json_members.h"

namespace bpfwarden::loader {
namespace {

const char* word(Finding finding) {
  switch (finding) {
    case Finding::ok:
      return "ok";
    case Finding::limited:
      return "limited";
    case Finding::missing:
      return "missing";
  }
  return "missing";
}

nlohmann::json to_json(const std::vector<Capability>& found) {
  auto list = nlohmann::json::array();
  for (const auto& capability : found)
    list.push_back(object_of({{"name", capability.name},
                              {"finding", word(capability.finding)},
                              {"detail", text_or_null(capability.detail)},
                              {"remedy", text_or_null(capability.remedy)}}));
  return object_of({{"can_enforce", first_missing(found) == nullptr},
                    {"capabilities", list},
                    {"kernel_abilities", abilities_json(abilities_of_kernel())}});
}

nlohmann::json to_json(const std::string& option, const std::vector<BootChange>& changes,
                       bool written) {
  auto list = nlohmann::json::array();
  for (const BootChange& change : changes)
    list.push_back(object_of({{"boot_loader", change.loader},
                              {"file", change.file},
                              {"after", change.after},
                              {"next", change.then}}));
  return object_of(
      {{"boot_option", text_or_null(option)}, {"boot_changes", list}, {"written", written}});
}

void print_text(const std::vector<Capability>& found) {
  for (const auto& capability : found) {
    std::printf("%-8s %s: %s\n", word(capability.finding), capability.name.c_str(),
                capability.detail.c_str());
    if (!capability.remedy.empty()) std::printf("         -> %s\n", capability.remedy.c_str());
  }
  std::puts(first_missing(found) == nullptr ? "This kernel can enforce a policy."
                                            : "This kernel cannot enforce a policy.");
}

// Nothing where no policy is active.
std::optional<Capability> look_at_hooks() {
  const auto pins = open_pins();
  if (pins && !*pins) return std::nullopt;
  auto hooks = pins ? read_hooks(**pins) : std::unexpected(pins.error());
  if (!hooks)
    return Capability{"hooks", Finding::missing, hooks.error().message, hooks.error().hint};
  if (hooks->missing.empty())
    return Capability{"hooks", Finding::ok,
                      "all " + std::to_string(hooks->expected()) + " are attached", ""};
  return Capability{"hooks", Finding::missing, missing_hooks_text(*hooks), kMissingHooksHint};
}

void print_changes(const std::string& option, const std::vector<BootChange>& changes, bool writes) {
  if (option.empty())
    return void(
        std::puts("nothing to fix: bpf is among the security modules, or they cannot be read"));
  if (changes.empty())
    return void(std::printf(
        "no boot loader is known here; add to the kernel's command line:\n  %s\n", option.c_str()));
  for (const BootChange& change : changes)
    std::printf("%s: %s\n%s\nthen: %s\n\n", change.loader.c_str(), change.file.c_str(),
                change.after.c_str(), change.then.c_str());
  std::puts(writes ? "written; what was there is kept as FILE.before-bpfwarden"
                   : "nothing was changed: `bpfwarden doctor --fix --write` does it");
}

// Shows what to change for the next boot, or changes it.
int run_fix(bool writes) {
  const std::string option = lsm_option(active_modules());
  const auto changes = option.empty() ? std::vector<BootChange>() : boot_changes("/", option);
  if (writes)
    for (const BootChange& change : changes)
      if (Status written = write_boot_change(change); !written) return print_error(written.error());
  if (in_json())
    put_answer(to_json(option, changes, writes && !changes.empty()));
  else
    print_changes(option, changes, writes);
  return option.empty() || !changes.empty() ? 0 : 1;
}

int run_doctor() {
  auto found = probe_kernel();
  found.push_back(probe_algorithms());
  auto hooks = look_at_hooks();
  if (!hooks && first_missing(found) == nullptr) {
    found.push_back(probe_by_trying());
    found.push_back(probe_by_signing());
  }
  if (hooks) found.insert(found.begin(), std::move(*hooks));
  if (in_json())
    put_answer(to_json(found));
  else
    print_text(found);
  return first_missing(found) == nullptr ? 0 : 1;
}

}  // namespace

void add_doctor(CLI::App& app, Command& chosen) {
  struct Arguments {
    bool fix = false, write = false;
  };
  auto options = std::make_shared<Arguments>();
  CLI::App* verb =
      app.add_subcommand("doctor", "Say what this kernel can enforce and what it lacks");
  auto* fix = verb->add_flag("--fix", options->fix,
                             "show what to change for GRUB, systemd-boot or BLS entries");
  verb->add_flag("--write", options->write, "and change it, keeping a copy")->needs(fix);
  verb->footer("example: bpfwarden doctor");
  verb->callback([options, &chosen] {
    chosen = [options] { return options->fix ? run_fix(options->write) : run_doctor(); };
  });
}

}  // namespace bpfwarden::loader
