#include <bpf/bpf.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <exception>
#include <sstream>
#include <string>
#include <vector>

#include "loader/cli/answer.h"
#include "loader/cli/cmd.h"
#include "loader/cli/command_line.h"
#include "loader/cli/help.h"
#include "loader/text/escaped_stream.h"

namespace bpfwarden::loader {
namespace {

// What a verb has printed is its result: one that nobody got is none.
int written(int status) {
  (void)finish(status);
  const int code = output_error();
  if (code == 0) return status;
  const int failed = print_error(fail_errno(code, "cannot write to standard output").error());
  return finish(status == 0 ? failed : status);
}

int misuse(const Error& error, bool names_json) {
  if (names_json) answer_in_json();
  (void)print_error(error);
  return written(kWrongUse);
}

int run(int argc, char** argv) {
  CLI::App app;
  Command chosen;
  describe(app, chosen);
  std::vector<std::string> given = arguments(argc, argv);
  const bool names_json = std::ranges::find(given, "--json") != given.end();
  if (const std::string unknown = unknown_verb(app, given); !unknown.empty())
    return misuse({0, unknown, "`bpfwarden --help` lists them"}, names_json);
  const std::string verb =
      given.empty() || given.front().starts_with('-') ? "" : " " + given.front();
  std::ranges::reverse(given);  // as CLI11 takes them
  try {
    app.parse(given);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() != 0)
      return misuse({0, error.what(), "`bpfwarden help" + verb + "` says how it is used"},
                    names_json);
    std::ostringstream text;  // CLI11's own would go past the escaped streams
    (void)app.exit(error, text, text);
    std::fputs(text.str().c_str(), stdout);
    return written(0);
  }
  // No probe of memory accounting: libbpf does it with an unsigned program.
  libbpf_set_memlock_rlim(0);
  if (wants_json(app)) answer_in_json();
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
    return bpfwarden::loader::finish(bpfwarden::loader::print_error({0, error.what(), ""}));
  }
}
