#include <bpf/bpf.h>
#include <CLI/CLI.hpp>

#include <csignal>
#include <cstdio>
#include <exception>
#include <sstream>
#include <string>

#include "loader/cli/cmd.h"
#include "loader/text/escaped_stream.h"

namespace bpfwarden::loader {

int print_error(const Error& error) {
  std::fprintf(stderr, "bpfwarden: error: %s\n", error.message.c_str());
  if (!error.hint.empty()) std::fprintf(stderr, "  hint: %s\n", error.hint.c_str());
  return 1;
}

namespace {

// What a verb has printed is its result: one that nobody got is none.
int written(int status) {
  const int code = output_error();
  if (code == 0) return status;
  const int failed = print_error(fail_errno(code, "cannot write to standard output").error());
  return status == 0 ? failed : status;
}

int run(int argc, char** argv) {
  CLI::App app("bpfwarden: decides which keys may put which BPF programs where");
  app.set_version_flag("--version", "bpfwarden " BPFWARDEN_VERSION);
  app.require_subcommand(1);
  Command chosen;
  for (const auto add : kVerbs) add(app, chosen);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::ostringstream output, errors;  // CLI11's own would go past the escaped streams
    const int status = app.exit(error, output, errors);
    std::fputs(output.str().c_str(), stdout);
    std::fputs(errors.str().c_str(), stderr);
    return written(status == 0 ? 0 : 2);
  }
  // No probe of memory accounting: libbpf does it with an unsigned program.
  libbpf_set_memlock_rlim(0);
  std::signal(SIGPIPE, SIG_IGN);  // a reader that is gone is an error like a full disk
  return written(chosen());
}

}  // namespace
}  // namespace bpfwarden::loader

int main(int argc, char** argv) {
  bpfwarden::loader::escape_standard_streams();
  try {
    return bpfwarden::loader::run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bpfwarden: error: %s\n", error.what());
    return 1;
  }
}
