#include "loader/cli/command_line.h"

#include <CLI/CLI.hpp>

#include <cstdio>

#include "loader/cli/help.h"
#include "loader/kernel/version.h"

namespace bpfwarden::loader {

int print_error(const Error& error) {
  std::fprintf(stderr, "bpfwarden: error: %s\n", error.message.c_str());
  if (!error.hint.empty()) std::fprintf(stderr, "  hint: %s\n", error.hint.c_str());
  return error.is_unreadable ? kWrongUse : 1;
}

void describe(CLI::App& app, Command& chosen) {
  app.name("bpfwarden");
  app.description("Decides which keys may put which BPF programs where.");
  app.set_version_flag("--version", std::string("bpfwarden ") + kVersion);
  app.require_subcommand(1);
  app.formatter(help_format());
  app.footer("`bpfwarden help VERB` says more of one.");
  for (const Verb& verb : kVerbs) {
    verb.add(app, chosen);
    app.get_subcommands([](const CLI::App*) { return true; }).back()->group(verb.group);
  }
}

}  // namespace bpfwarden::loader
