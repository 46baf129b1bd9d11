#include <bpf/bpf.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <exception>
#include <sstream>
#include <string>
#include <vector>

#include "loader/cli/cmd.h"
#include "loader/cli/command_line.h"
#include "loader/cli/help.h"
#include "loader/text/escaped_stream.h"

namespace bpfwarden::loader {
namespace {

// What a verb has printed is its result: one that nobody got is none.
int written(int status) {
  const int code = output_error();
  if (code == 0) return status;
  const int failed = print_error(fail_errno(code, "cannot write to standard output").error());
  return status == 0 ? failed : status;
}

int run(int argc, char** argv) {
  CLI::App app;
  Command chosen;
  describe(app, chosen);
  std::vector<std::string> given = arguments(argc, argv);
  if (const std::string unknown = unknown_verb(app, given); !unknown.empty())
    return print_error({0, unknown, "`bpfwarden --help` lists them"}), kWrongUse;
  const std::string verb =
      given.empty() || given.front().starts_with('-') ? "" : " " + given.front();
  std::ranges::reverse(given);  // as CLI11 takes them
  try {
    app.parse(given);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() != 0)
      return print_error({0, error.what(), "`bpfwarden help" + verb + "` says how it is used"}),
             kWrongUse;
    std::ostringstream text;  // CLI11's own would go past the escaped streams
    (void)app.exit(error, text, text);
    std::fputs(text.str().c_str(), stdout);
    return written(0);
  }
  // No probe of memory accounting: libbpf does it with an unsigned program.
  libbpf_set_memlock_rlim(0);
  return written(chosen());
}

}  // namespace
}  // namespace bpfwarden::loader

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // a reader that is gone is an error like a full disk
  bpfwarden::loader::escape_standard_streams();
  try {
    return bpfwarden::loader::run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bpfwarden: error: %s\n", error.what());
    return 1;
  }
}
