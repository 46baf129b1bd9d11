#include "tests/vm/helpers/interrupted.h"

#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/keyctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <optional>
#include <stdexcept>

#include "base/file.h"
#include "tests/vm/machine/registers.h"

namespace bpfwarden::vm {
namespace {

constexpr const char* kOutput = "/tmp/interrupted.output";

struct Named {
  uint64_t number;
  const char* name;
  bool gives_descriptor = false;
};

constexpr Named kCommands[] = {
    {BPF_MAP_CREATE, "bpf MAP_CREATE", true},
    {BPF_MAP_UPDATE_ELEM, "bpf MAP_UPDATE_ELEM"},
    {BPF_MAP_DELETE_ELEM, "bpf MAP_DELETE_ELEM"},
    {BPF_PROG_LOAD, "bpf PROG_LOAD", true},
    {BPF_OBJ_PIN, "bpf OBJ_PIN"},
    {BPF_RAW_TRACEPOINT_OPEN, "bpf RAW_TRACEPOINT_OPEN", true},
    {BPF_BTF_LOAD, "bpf BTF_LOAD", true},
    {BPF_MAP_FREEZE, "bpf MAP_FREEZE"},
    {BPF_LINK_CREATE, "bpf LINK_CREATE", true},
    {BPF_PROG_ATTACH, "bpf PROG_ATTACH"},
    {BPF_PROG_DETACH, "bpf PROG_DETACH"},
};

constexpr Named kKeyCalls[] = {
    {KEYCTL_JOIN_SESSION_KEYRING, "keyctl JOIN_SESSION_KEYRING"},
    {KEYCTL_UPDATE, "keyctl UPDATE"},
    {KEYCTL_REVOKE, "keyctl REVOKE"},
    {KEYCTL_CHOWN, "keyctl CHOWN"},
    {KEYCTL_SETPERM, "keyctl SETPERM"},
    {KEYCTL_CLEAR, "keyctl CLEAR"},
    {KEYCTL_LINK, "keyctl LINK"},
    {KEYCTL_UNLINK, "keyctl UNLINK"},
    {KEYCTL_SET_TIMEOUT, "keyctl SET_TIMEOUT"},
    {KEYCTL_INVALIDATE, "keyctl INVALIDATE"},
    {KEYCTL_RESTRICT_KEYRING, "keyctl RESTRICT_KEYRING"},
};

constexpr Named kFileCalls[] = {
#ifdef SYS_rename  // of the architectures that have those without a folder's descriptor
    {SYS_rename, "rename"},     {SYS_unlink, "unlink"},       {SYS_rmdir, "rmdir"},
    {SYS_mkdir, "mkdir"},       {SYS_link, "link"},           {SYS_symlink, "symlink"},
    {SYS_chmod, "chmod"},
#endif
    {SYS_renameat, "renameat"}, {SYS_renameat2, "renameat2"}, {SYS_unlinkat, "unlinkat"},
    {SYS_mkdirat, "mkdirat"},   {SYS_linkat, "linkat"},       {SYS_symlinkat, "symlinkat"},
    {SYS_fchmod, "fchmod"},     {SYS_fchmodat, "fchmodat"},   {SYS_ftruncate, "ftruncate"},
    {SYS_fsync, "fsync"},       {SYS_fdatasync, "fdatasync"}, {SYS_mount, "mount"},
    {SYS_umount2, "umount"},
};

constexpr size_t kMostOutput = 1 << 20;

std::string text_of(const char* file) {
  const auto bytes = read_file(file, kMostOutput);
  return bytes ? std::string(bytes->begin(), bytes->end()) : "";
}

template <size_t N>
const Named* find(const Named (&table)[N], uint64_t number) {
  for (const Named& one : table)
    if (one.number == number) return &one;
  return nullptr;
}

std::optional<Change> change_of_files(const __ptrace_syscall_info& call) {
  const auto& [number, arguments] = call.entry;
  if (number == SYS_write || number == SYS_pwrite64 || number == SYS_writev)
    return arguments[0] > 2 ? std::optional(Change{"write", {ENOSPC, EINTR}}) : std::nullopt;
  if (number == SYS_openat)
    return (arguments[2] & (O_CREAT | O_TRUNC)) != 0
               ? std::optional(Change{"openat", {ENOSPC, EMFILE, ENOMEM}})
               : std::nullopt;
  const Named* found = find(kFileCalls, number);
  if (found == nullptr) return std::nullopt;
  const bool is_sync = number == SYS_fsync || number == SYS_fdatasync;
  return Change{found->name, is_sync ? std::vector{ENOSPC, EINTR} : std::vector{ENOSPC, ENOMEM}};
}

// A call that means nothing to the kernel (bpf-lsm/abi/order.h): of no descriptor.
bool is_order(pid_t child, const __ptrace_syscall_info& call) {
  if (call.entry.args[0] != BPF_OBJ_GET_INFO_BY_FD) return false;
  errno = 0;
  const long word = ::ptrace(PTRACE_PEEKDATA, child, call.entry.args[1], nullptr);
  return errno == 0 && static_cast<uint32_t>(word) == UINT32_MAX;
}

std::optional<Change> change_of(pid_t child, const __ptrace_syscall_info& call) {
  const uint64_t first = call.entry.args[0];
  if (call.entry.nr == SYS_bpf) {
    if (is_order(child, call)) return Change{"order", {ENOMEM, EINTR}};
    const Named* found = find(kCommands, first);
    if (found == nullptr) return std::nullopt;
    return Change{found->name, found->gives_descriptor ? std::vector{ENOMEM, EMFILE, EINTR}
                                                       : std::vector{ENOMEM, EINTR}};
  }
  if (call.entry.nr == SYS_add_key) return Change{"add_key", {ENOMEM, EDQUOT}};
  if (call.entry.nr == SYS_keyctl) {
    const Named* found = find(kKeyCalls, first);
    return found == nullptr ? std::nullopt : std::optional(Change{found->name, {ENOMEM}});
  }
  return change_of_files(call);
}

[[noreturn]] void become(const std::vector<std::string>& command) {
  const int output = ::open(kOutput, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (output < 0) ::_exit(126);
  ::dup2(output, STDOUT_FILENO);
  ::dup2(output, STDERR_FILENO);
  ::close(output);
  std::vector<char*> words;
  for (const std::string& word : command) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
  ::execvp(words[0], words.data());
  ::_exit(127);
}

class Tracer {
 public:
  explicit Tracer(const std::vector<std::string>& command) : child_(::fork()) {
    if (child_ < 0) throw std::runtime_error("cannot fork");
    if (child_ == 0) become(command);
    int stopped = 0;  // by execve(2)
    if (::waitpid(child_, &stopped, 0) != child_ || !WIFSTOPPED(stopped) ||
        ::ptrace(PTRACE_SETOPTIONS, child_, nullptr, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL) !=
            0)
      throw std::runtime_error("cannot trace " + command.front());
  }
  Tracer(const Tracer&) = delete;
  Tracer& operator=(const Tracer&) = delete;
  ~Tracer() = default;

  // To its end.
  Interrupted follow(const std::optional<Interruption>& interruption) {
    Interrupted seen;
    while (go_on()) note(seen, interruption);
    seen.status = WIFEXITED(ended_) ? WEXITSTATUS(ended_) : -1;
    seen.output = text_of(kOutput);
    return seen;
  }

 private:
  // To the next system call's begin or end; false: it has ended.
  bool go_on() {
    if (::ptrace(PTRACE_SYSCALL, child_, nullptr, signal_) != 0 && errno != ESRCH)
      throw std::runtime_error("cannot trace on");
    if (::waitpid(child_, &ended_, 0) != child_) throw std::runtime_error("lost the command");
    if (!WIFSTOPPED(ended_)) return false;
    const int stopped_by = WSTOPSIG(ended_);
    is_call_ = stopped_by == (SIGTRAP | 0x80);
    signal_ = is_call_ || stopped_by == SIGTRAP ? 0 : stopped_by;
    return true;
  }

  void note(Interrupted& seen, const std::optional<Interruption>& interruption) {
    __ptrace_syscall_info call = {};
    if (!is_call_ || ::ptrace(PTRACE_GET_SYSCALL_INFO, child_, sizeof(call), &call) <= 0) return;
    if (call.op == PTRACE_SYSCALL_INFO_EXIT && fails_with_ != 0) {
      Registers registers(child_);
      registers.set_result(-fails_with_);
      registers.write();
      fails_with_ = 0;
    }
    if (call.op != PTRACE_SYSCALL_INFO_ENTRY) return;
    const auto change = change_of(child_, call);
    if (!change) return;
    seen.changes.push_back(*change);
    if (!interruption || seen.changes.size() != interruption->at + 1) return;
    Registers(child_).drop_call();
    if (interruption->error == 0) ::kill(child_, SIGKILL);
    fails_with_ = interruption->error;
  }

  pid_t child_;
  int ended_ = 0, signal_ = 0, fails_with_ = 0;
  bool is_call_ = false;
};

}  // namespace

std::vector<Interruption> kills(const Interrupted& whole) {
  std::vector<Interruption> all;
  for (size_t at = 0; at < whole.changes.size(); at++) all.push_back({.at = at});
  return all;
}

std::vector<Interruption> failures(const Interrupted& whole) {
  std::vector<Interruption> all;
  for (size_t at = 0; at < whole.changes.size(); at++)
    for (const int error : whole.changes[at].errors) all.push_back({.at = at, .error = error});
  return all;
}

std::vector<Interruption> some_of(const std::vector<Interruption>& all, size_t wanted) {
  if (wanted >= all.size()) return all;
  std::vector<Interruption> some;
  for (size_t i = 0; i < wanted; i++) some.push_back(all[i * all.size() / wanted]);
  return some;
}

std::string describe(const Interruption& point, const Interrupted& interrupted) {
  const bool is_reached = interrupted.changes.size() > point.at;
  return "change " + std::to_string(point.at) + " (" +
         (is_reached ? interrupted.changes[point.at].name : "none") + "), error " +
         std::to_string(point.error) + ", status " + std::to_string(interrupted.status);
}

Interrupted run_whole(const std::vector<std::string>& command) {
  return Tracer(command).follow(std::nullopt);
}

Interrupted run_interrupted(const std::vector<std::string>& command,
                            const Interruption& interruption) {
  return Tracer(command).follow(interruption);
}

}  // namespace bpfwarden::vm
