// A command that is killed at one of the system calls by which it changes something, or to which
// one of them fails.
//
// It runs under ptrace(2), which stops it as it enters a call and before the kernel does anything:
// what is killed there has made all changes before that one, and none after.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace bpfwarden::vm {

// A system call that changes the kernel's state or a file's: of bpf(2), of keys, of the names and
// contents of files.
struct Change {
  std::string name;         // "bpf MAP_FREEZE", "rename"
  std::vector<int> errors;  // that it may have on a host which is short of something
};

// The `at`th change from 0 on is not made: the command is killed, or the call returns `error`.
struct Interruption {
  size_t at = 0;
  int error = 0;  // 0: killed
};

struct Interrupted {
  int status = 0;  // of the command; -1: it was killed
  std::vector<Change> changes;
  std::string output;  // what it has printed
};

// Before each change of a whole run; each error that each may have.
[[nodiscard]] std::vector<Interruption> kills(const Interrupted& whole);
[[nodiscard]] std::vector<Interruption> failures(const Interrupted& whole);

// All of them, or so many, as far from each other as can be.
[[nodiscard]] std::vector<Interruption> some_of(const std::vector<Interruption>& all,
                                                size_t wanted);

// "change 12 (rename), error 28, status 1"
[[nodiscard]] std::string describe(const Interruption& point, const Interrupted& interrupted);

// Through no shell; the first word is looked up in PATH. Throws if it cannot be traced.
[[nodiscard]] Interrupted run_whole(const std::vector<std::string>& command);
[[nodiscard]] Interrupted run_interrupted(const std::vector<std::string>& command,
                                          const Interruption& interruption);

}  // namespace bpfwarden::vm
