// bpfwarden check: everything that is wrong with a policy, in one run.
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "loader/cmd.h"
#include "loader/policy_file.h"

namespace bpfwarden::loader {
namespace {

struct Options {
  std::vector<std::string> files;
  bool json = false;
  bool fail_on_warn = false;
};

nlohmann::json to_json(const policy::Diagnostic& found) {
  return {{"severity", policy::severity_name(found.severity)},
          {"code", found.code},
          {"file", found.file},
          {"line", found.line},
          {"column", found.column},
          {"message", found.message},
          {"hint", found.hint}};
}

void print_json(const std::vector<CheckedPolicy>& all, bool ok) {
  auto list = nlohmann::json::array();
  for (const CheckedPolicy& checked : all)
    for (const auto& found : checked.diagnostics) list.push_back(to_json(found));
  const nlohmann::json whole = {{"ok", ok}, {"diagnostics", list}};
  std::puts(whole.dump(2).c_str());
}

void print(const std::string& file, const CheckedPolicy& checked) {
  std::fputs(policy::render_all(checked.diagnostics, checked.sources).c_str(), stdout);
  if (!checked.compiled) return;
  std::printf("%s: ok, %zu rules, %zu warnings\n", file.c_str(),
              checked.compiled->policy.rules.size(), checked.diagnostics.size());
}

bool is_good(const CheckedPolicy& checked, const Options& options) {
  return checked.compiled && (checked.diagnostics.empty() || !options.fail_on_warn);
}

int check(const Options& options) {
  std::vector<CheckedPolicy> all;
  bool ok = true;
  for (const std::string& file : options.files) {
    all.push_back(check_policy_file(file));
    ok = is_good(all.back(), options) && ok;
    if (!options.json) print(file, all.back());
  }
  if (options.json) print_json(all, ok);
  return ok ? 0 : 1;
}

}  // namespace

void add_check(CLI::App& app, Command& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* verb = app.add_subcommand("check", "Check a policy file and say all that is wrong");
  verb->add_option("file", options->files, "the policies (TOML)")->required();
  verb->add_flag("--json", options->json, "diagnostics as JSON");
  verb->add_flag("--fail-on-warn", options->fail_on_warn, "exit with 1 if there are warnings");
  verb->footer("example: bpfwarden check /etc/bpfwarden/policy.toml");
  verb->callback([options, &chosen] { chosen = [options] { return check(*options); }; });
}

}  // namespace bpfwarden::loader
