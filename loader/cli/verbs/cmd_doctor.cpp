// bpfwarden doctor: can this kernel enforce a policy, and if not, what is missing?
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "loader/cli/cmd.h"
#include "loader/kernel/hooks.h"
#include "loader/rollout/boot_options.h"
#include "loader/rollout/probe.h"
#include "loader/rollout/signed_trial.h"

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

void print_json(const std::vector<Capability>& found) {
  auto list = nlohmann::json::array();
  for (const auto& capability : found)
    list.push_back({{"name", capability.name},
                    {"finding", word(capability.finding)},
                    {"detail", capability.detail},
                    {"remedy", capability.remedy}});
  const nlohmann::json whole = {{"can_enforce", first_missing(found) == nullptr},
                                {"capabilities", list}};
  std::puts(whole.dump(2).c_str());
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

// Shows what to change for the next boot, or changes it.
int run_fix(bool writes) {
  const std::string option = lsm_option(active_modules());
  if (option.empty()) {
    std::puts("nothing to fix: bpf is among the security modules, or they cannot be read");
    return 0;
  }
  const auto changes = boot_changes("/", option);
  if (changes.empty()) {
    std::printf("no boot loader is known here; add to the kernel's command line:\n  %s\n",
                option.c_str());
    return 1;
  }
  for (const BootChange& change : changes) {
    std::printf("%s: %s\n%s\nthen: %s\n\n", change.loader.c_str(), change.file.c_str(),
                change.after.c_str(), change.then.c_str());
    if (!writes) continue;
    if (Status written = write_boot_change(change); !written) return print_error(written.error());
  }
  std::puts(writes ? "written; what was there is kept as FILE.before-bpfwarden"
                   : "nothing was changed: `bpfwarden doctor --fix --write` does it");
  return 0;
}

int run_doctor(bool as_json) {
  auto found = probe_kernel();
  found.push_back(probe_algorithms());
  auto hooks = look_at_hooks();
  if (!hooks && first_missing(found) == nullptr) {
    found.push_back(probe_by_trying());
    found.push_back(probe_by_signing());
  }
  if (hooks) found.insert(found.begin(), std::move(*hooks));
  if (as_json)
    print_json(found);
  else
    print_text(found);
  return first_missing(found) == nullptr ? 0 : 1;
}

}  // namespace

void add_doctor(CLI::App& app, Command& chosen) {
  struct Arguments {
    bool json = false, fix = false, write = false;
  };
  auto options = std::make_shared<Arguments>();
  CLI::App* verb =
      app.add_subcommand("doctor", "Say what this kernel can enforce and what it lacks");
  verb->add_flag("--json", options->json, "the findings as JSON");
  auto* fix = verb->add_flag("--fix", options->fix,
                             "show what to change for GRUB, systemd-boot or BLS entries");
  verb->add_flag("--write", options->write, "and change it, keeping a copy")->needs(fix);
  verb->footer("example: bpfwarden doctor");
  verb->callback([options, &chosen] {
    chosen = [options] {
      return options->fix ? run_fix(options->write) : run_doctor(options->json);
    };
  });
}

}  // namespace bpfwarden::loader
