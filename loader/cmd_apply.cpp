// bpfwarden apply: make a policy the active one.
#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "loader/apply.h"
#include "loader/cmd.h"
#include "policy/wording.h"

namespace bpfwarden::loader {
namespace {

struct Options {
  std::string file;
  bool json = false;
};

void print(const Options& options, const CompiledPolicy& compiled, const Applied& applied) {
  const policy::Policy& policy = compiled.policy;
  const auto mode = policy::mode_name(static_cast<bw_mode>(policy.mode));
  if (options.json) {
    const nlohmann::json whole = {{"policy", policy.name},
                                  {"version", policy.version},
                                  {"mode", mode},
                                  {"generation", applied.generation},
                                  {"keyring", applied.ring},
                                  {"first", applied.first},
                                  {"unchanged", applied.unchanged}};
    std::puts(whole.dump(2).c_str());
    return;
  }
  std::printf("%s: '%s' version %llu, mode %.*s, %zu rules, generation %llu, keyring %d\n",
              applied.unchanged ? "already active" : "active", policy.name.c_str(),
              static_cast<unsigned long long>(policy.version), static_cast<int>(mode.size()),
              mode.data(), policy.rules.size(), static_cast<unsigned long long>(applied.generation),
              applied.ring);
}

// The kernel part decides at load only: an enforcing policy must not promise more.
Status require_decided_at_load(const policy::Policy& policy) {
  const bool enforces = policy.mode == policy::Mode::enforce ||
                        std::ranges::any_of(policy.rules, [](const policy::Rule& rule) {
                          return rule.mode == policy::Mode::enforce;
                        });
  if (!enforces || !policy::decides_at_attach(policy)) return {};
  return fail(
      "the policy enforces, and some of its rules can be decided only when a program is "
      "attached, which this version does not do; nothing was changed",
      "`bpfwarden check` names the first of them; apply it with mode = \"audit\", or take "
      "`@`, targets known at attach and load-only out");
}

int run_apply(const Options& options) {
  CheckedPolicy checked = check_policy_file(options.file);
  std::fputs(policy::render_all(checked.diagnostics, checked.sources).c_str(), stderr);
  auto& compiled = checked.compiled;
  if (!compiled) return report({0, "the policy has errors; nothing was changed", "correct them"});
  if (auto fit = require_decided_at_load(compiled->policy); !fit) return report(fit.error());
  auto applied = apply(*compiled);
  if (!applied) return report(applied.error());
  print(options, *compiled, *applied);
  return 0;
}

}  // namespace

void add_apply(CLI::App& app, Command& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* verb = app.add_subcommand("apply",
                                      "Make a policy the active one; it stays when this "
                                      "command ends");
  verb->add_option("file", options->file, "the policy (TOML)")->required();
  verb->add_flag("--json", options->json, "the result as JSON");
  verb->footer("example: bpfwarden apply /etc/bpfwarden/policy.toml");
  verb->callback([options, &chosen] { chosen = [options] { return run_apply(*options); }; });
}

}  // namespace bpfwarden::loader
