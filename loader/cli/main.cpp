#include <bpf/bpf.h>
#include <CLI/CLI.hpp>

#include <cstdio>
#include <exception>
#include <string>

#include "loader/cli/cmd.h"

namespace bpfwarden::loader {

int print_error(const Error& error) {
  std::fprintf(stderr, "bpfwarden: error: %s\n", error.message.c_str());
  if (!error.hint.empty()) std::fprintf(stderr, "  hint: %s\n", error.hint.c_str());
  return 1;
}

namespace {

int run(int argc, char** argv) {
  CLI::App app("bpfwarden: decides which keys may put which BPF programs where");
  app.set_version_flag("--version", "bpfwarden " BPFWARDEN_VERSION);
  app.require_subcommand(1);
  Command chosen;
  for (const auto add : kVerbs) add(app, chosen);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  // No probe of memory accounting: libbpf does it with an unsigned program.
  libbpf_set_memlock_rlim(0);
  return chosen();
}

}  // namespace
}  // namespace bpfwarden::loader

int main(int argc, char** argv) {
  try {
    return bpfwarden::loader::run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bpfwarden: error: %s\n", error.what());
    return 1;
  }
}
