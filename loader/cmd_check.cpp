// bpfwarden check: everything that is wrong with a policy, in one run.
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "loader/cmd.h"
#include "loader/policy_file.h"

namespace bpfwarden::loader {
namespace {

struct Options {
  std::string file;
  bool json = false;
};

nlohmann::json to_json(const policy::Diagnostic& found) {
  return {{"severity", policy::severity_name(found.severity)},
          {"file", found.file},
          {"line", found.line},
          {"column", found.column},
          {"message", found.message},
          {"hint", found.hint}};
}

void print_json(const policy::ParseResult& parsed) {
  auto list = nlohmann::json::array();
  for (const auto& found : parsed.diagnostics) list.push_back(to_json(found));
  const nlohmann::json whole = {{"ok", parsed.policy.has_value()}, {"diagnostics", list}};
  std::puts(whole.dump(2).c_str());
}

int check(const Options& options) {
  policy::ParseResult parsed = parse_policy_file(options.file);
  if (options.json) {
    print_json(parsed);
  } else {
    std::fputs(policy::render_all(parsed.diagnostics, parsed.sources).c_str(), stdout);
  }
  if (!parsed) return 1;
  const size_t rules = parsed.policy->rules.size();
  auto compiled = compile_policy(std::move(parsed));
  if (!compiled) return report(compiled.error());
  if (!options.json) std::printf("%s: ok, %zu rules\n", options.file.c_str(), rules);
  return 0;
}

}  // namespace

void add_check(CLI::App& app, Command& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* verb = app.add_subcommand("check", "Check a policy file and say all that is wrong");
  verb->add_option("file", options->file, "the policy (TOML)")->required();
  verb->add_flag("--json", options->json, "diagnostics as JSON");
  verb->footer("example: bpfwarden check /etc/bpfwarden/policy.toml");
  verb->callback([options, &chosen] { chosen = [options] { return check(*options); }; });
}

}  // namespace bpfwarden::loader
