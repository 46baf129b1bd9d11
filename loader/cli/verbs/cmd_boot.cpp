// bpfwarden boot: what bpfwarden.service and the initramfs run.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "loader/cli/answer.h"
#include "loader/cli/cmd.h"
#include "loader/inventory/inventory.h"
#include "loader/kernel/pins.h"
#include "loader/rollout/applied_output.h"
#include "loader/rollout/boot.h"
#include "loader/rollout/initramfs.h"
#include "loader/status/canary.h"
#include "loader/text/json_members.h"
#include "loader/text/kernel_text.h"
#include "loader/text/service_manager.h"

namespace bpfwarden::loader {
namespace {

using nlohmann::json;

// With --json they are part of the answer, too.
std::vector<std::string>& warnings() {
  static std::vector<std::string> all;
  return all;
}

void warn(const std::string& text) {
  warnings().push_back(text);
  std::fprintf(stderr, "%sbpfwarden: warning: %s\n", kWarningLevel, text.c_str());
}

int give_up(const Error& error) {
  tell_service_manager("failed: " + error.message);
  return print_error(error);
}

const char* word_of(BootWord word) {
  switch (word) {
    case BootWord::none:
      return "none";
    case BootWord::off:
      return "off";
    case BootWord::audit:
      return "audit";
    case BootWord::unknown:
      break;
  }
  return "unknown";
}

json to_json(const std::vector<ListedProgram>& residents) {
  json list = json::array();
  for (const ListedProgram& program : residents)
    list.push_back(
        object_of({{"program_id", program.listed.id},
                   {"program", kernel_text(program.listed.name, sizeof(program.listed.name))},
                   {"attach", program.attach}}));
  return list;
}

// `canary` may be null.
json boot_json(const Boot& boot, const json& canary, const std::vector<ListedProgram>& residents) {
  return object_of(
      {{"boot_word", word_of(boot.word)},
       {"applied", boot.policy ? applied_json(*boot.policy->compiled, boot.applied, {}) : json()},
       {"canary", canary},
       {"warnings", warnings()},
       {"residents", to_json(residents)}});
}

void warn_of_initramfs() {
  const auto stale = stale_initramfs(read_initramfs_facts());
  if (stale) warn("initramfs: " + stale_initramfs_text(*stale) + "; run `" + stale->command + "`");
}

// An initramfs from before `off` has brought back what this host no longer has. To enforce too much
// is told, and left to people.
int with_forgotten_policy(const Boot& boot) {
  const std::string text =
      boot.forgotten + " is active, by an initramfs from before `bpfwarden off`";
  warn(text + "; to keep it, run `bpfwarden apply POLICY`");
  warn_of_initramfs();
  if (in_json()) put_answer(boot_json(boot, {}, {}));
  tell_service_manager(text);
  return 0;
}

// For the journal, and the line of `systemctl status`.
int without_policy(const Boot& boot) {
  if (!boot.forgotten.empty()) return with_forgotten_policy(boot);
  const std::string text =
      boot.word == BootWord::off
          ? "off: `bpfwarden=off` on the kernel's command line; nothing is decided"
          : "no policy yet: `systemctl reload bpfwarden` applies /etc/bpfwarden/policy.toml";
  if (boot.word == BootWord::off) warn(text);
  if (in_json())
    put_answer(boot_json(boot, {}, {}));
  else
    std::puts(text.c_str());
  tell_service_manager(text);
  return 0;
}

std::vector<ListedProgram> tell_residents() {
  auto programs = read_inventory();
  if (!programs) {
    warn("what came before the policy is not known: " + programs.error().message);
    return {};
  }
  std::erase_if(*programs, [](const auto& one) { return one.standing != Standing::resident; });
  const size_t count = programs->size();
  for (const ListedProgram& program : *programs)
    warn("resident, its load was never judged: program " + std::to_string(program.listed.id) +
         " '" + program.listed.name + "', " + program.attach);
  if (count != 0)
    warn(std::to_string(count) +
         " programs came before the policy; `bpfwarden inventory` lists them");
  return std::move(*programs);
}

// The hooks of a sealed host stay, whatever becomes of their pins, for as long as systemd runs. Of
// another host they do not: `off` could not end them.
void have_links_kept(const Boot& boot) {
  if (boot.applied.sealed != Sealed::now) return;
  const auto links = open_pinned_links();
  if (links)
    have_service_manager_keep("bpfwarden-hook", *links);
  else
    warn("the hooks hang on their pins alone: " + links.error().message);
}

std::string summary_of(const Boot& boot) {
  return policy_line(*boot.policy->compiled) +
         (boot.word == BootWord::audit ? " by `bpfwarden=audit` on the kernel's command line" : "");
}

int run_boot(const std::string& next_root) {
  const auto boot = apply_at_boot(next_root);
  if (!boot) return give_up(boot.error());
  if (boot->word == BootWord::unknown)
    warn("`bpfwarden=` on the kernel's command line is neither `off` nor `audit`: passed over");
  if (!boot->policy) return without_policy(*boot);
  if (!boot->warning.empty()) warn(boot->warning);
  if (boot->word == BootWord::audit) warn(summary_of(*boot));
  if (!in_json()) print_applied(*boot->policy->compiled, boot->applied);
  const auto canary = try_canary(*boot->policy->compiled);
  if (!canary) return give_up(canary.error());
  if (!in_json()) std::printf("%s\n", canary_text(*canary).c_str());
  have_links_kept(*boot);
  warn_of_initramfs();
  // Whoever is later finds what it has told.
  const auto residents = boot->applied.first ? tell_residents() : std::vector<ListedProgram>();
  if (in_json())
    put_answer(boot_json(
        *boot,
        object_of({{"outcome", canary_text(*canary)}, {"attach", text_or_null(canary->attach)}}),
        residents));
  tell_service_manager(summary_of(*boot) + "; " + canary_text(*canary));
  return 0;
}

}  // namespace

void add_boot(CLI::App& app, Command& chosen) {
  CLI::App* verb = app.add_subcommand(
      "boot",
      "Bring back the confirmed policy and see that it decides; for the unit and the initramfs");
  auto next_root = std::make_shared<std::string>();
  verb->add_option(
      "--root", *next_root,
      "in an initramfs: where the real root is mounted, whose files are named without");
  verb->footer("example: bpfwarden boot");
  verb->callback([next_root, &chosen] { chosen = [next_root] { return run_boot(*next_root); }; });
}

}  // namespace bpfwarden::loader
