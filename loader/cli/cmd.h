// The verbs of the command line: each is a cmd_*.cpp, and knows no other one. verbs.inc is made
// of the list in loader/cli/CMakeLists.txt: their functions, and kVerbs.
//
// A verb adds a subcommand and, when the user chose it, sets `chosen` to what main runs. Exit
// codes: 0 done, 1 failed or "no", kWrongUse.
#pragma once

#include <array>
#include <functional>

#include "base/result.h"

namespace CLI {
class App;
}

namespace bpfwarden::loader {

using Command = std::function<int()>;

inline constexpr int kWrongUse = 2;  // wrong options, or a file that cannot be used at all

struct Verb {
  const char* group;  // of `bpfwarden --help`
  void (*add)(CLI::App& app, Command& chosen);
};

#include "verbs.inc"

// Prints the error and its hint on stderr, or makes it part of the answer (answer.h); returns the
// exit code: 1, or kWrongUse where a file is not what it should be.
int print_error(const Error& error);

}  // namespace bpfwarden::loader
