#include "loader/cli/command_line.h"

#include <CLI/CLI.hpp>

#include <string>
#include <vector>

#include "loader/cli/help.h"
#include "loader/kernel/version.h"

namespace bpfwarden::loader {

namespace {

// `schema` prints JSON anyway; its --json names a verb.
void add_json(CLI::App& verb) {
  const auto parts = verb.get_subcommands([](const CLI::App*) { return true; });
  for (CLI::App* part : parts) add_json(*part);
  if (parts.empty() && verb.get_option_no_throw("--json") == nullptr)
    verb.add_flag("--json")->description("as JSON, errors too: `schema --json VERB`");
}

bool asks_for_json(const CLI::App& verb) {
  for (const CLI::App* part : verb.get_subcommands())
    if (asks_for_json(*part)) return true;
  if (verb.get_name() == "schema") return false;
  const CLI::Option* format = verb.get_option_no_throw("--format");
  if (format != nullptr && format->results() == std::vector<std::string>{"json"}) return true;
  const CLI::Option* flag = verb.get_option_no_throw("--json");
  return flag != nullptr && flag->count() > 0;
}

}  // namespace

bool wants_json(const CLI::App& app) { return asks_for_json(app); }

void describe(CLI::App& app, Command& chosen) {
  app.name("bpfwarden");
  app.description("Decides which keys may put which BPF programs where.");
  app.set_version_flag("--version", std::string("bpfwarden ") + kVersion);
  app.require_subcommand(1);
  app.formatter(help_format());
  app.footer("`bpfwarden help VERB` says more of one.");
  for (const Verb& verb : kVerbs) {
    verb.add(app, chosen);
    CLI::App* added = app.get_subcommands([](const CLI::App*) { return true; }).back();
    added->group(verb.group);
    add_json(*added);
  }
}

}  // namespace bpfwarden::loader
