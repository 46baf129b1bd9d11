// Attacks by bpfwarden itself, and by what passes for it.
#include <bpf/bpf.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <thread>

#include "loader/kernel/syscall.h"
#include "tests/vm/attack/seal/host.h"
#include "tests/vm/helpers/attach/attach_routes.h"
#include "tests/vm/helpers/handles.h"
#include "tests/vm/machine/registers.h"

namespace bpfwarden::vm {
namespace {

constexpr const char* kVerbs = "bpfwarden's own verbs";
constexpr const char* kManager = "a manager that is not itself";

// A policy that admits all, of a later version.
constexpr const char* kAnother = "/tmp/another.toml";

void write_another() {
  std::ofstream(kAnother) << "schema = 1\nname = \"scene\"\nversion = 99\nmode = \"audit\"\n"
                             "default = \"allow\"\n";
}

TryOn verb(const std::string& words) {
  return [=](Victim&) {
    write_another();
    return verdict_of("bpfwarden " + words);
  };
}

std::string apply_with(const std::string& program) {
  return program + " apply --accept-denials --confirm-within 0 " + kAnother;
}

int in_another_namespace(const std::string& program) {
  write_another();
  return verdict_of("unshare -m sh -c 'mount -t bpf bpf /sys/fs/bpf && " + apply_with(program) +
                    "'");
}

// ---- Within a manager ---------------------------------------------------------------------------

// Runs bpfwarden under ptrace, stopped at its first instruction, and has it make a system call in
// its place.
class TakenOver {
 public:
  TakenOver() : pid_(::fork()) {
    if (pid_ == 0) {
      (void)::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
      ::execlp("bpfwarden", "bpfwarden", "status", nullptr);
      ::_exit(127);
    }
    int status = 0;
    REQUIRE(::waitpid(pid_, &status, 0) == pid_);
    REQUIRE(WIFSTOPPED(status));
    before_.emplace(pid_);
    REQUIRE(::ptrace(PTRACE_POKETEXT, pid_, before_->next(), Registers::kInstruction) == 0);
  }
  TakenOver(const TakenOver&) = delete;
  TakenOver& operator=(const TakenOver&) = delete;
  ~TakenOver() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }

  // Below the stack, 8 bytes after 8.
  [[nodiscard]] uint64_t put(const void* bytes, size_t size) const {
    const uint64_t address = (before_->stack() - 4096 - size) & ~uint64_t{63};
    for (size_t at = 0; at < size; at += sizeof(long)) {
      long word = 0;
      std::memcpy(&word, static_cast<const char*>(bytes) + at, std::min(sizeof(word), size - at));
      REQUIRE(::ptrace(PTRACE_POKEDATA, pid_, address + at, word) == 0);
    }
    return address;
  }

  // What the kernel returns: negative, an errno.
  [[nodiscard]] long call(long number, std::array<uint64_t, 3> arguments) const {
    Registers registers = *before_;
    registers.set_call(number, arguments);
    registers.write();
    REQUIRE(::ptrace(PTRACE_SINGLESTEP, pid_, nullptr, nullptr) == 0);
    int status = 0;
    REQUIRE(::waitpid(pid_, &status, 0) == pid_);
    return Registers(pid_).result();
  }

  [[nodiscard]] long bpf(bpf_cmd command, const bpf_attr& attr) const {
    return call(SYS_bpf, {static_cast<uint64_t>(command), put(&attr, sizeof(attr)), sizeof(attr)});
  }

  // Had by the manager, by its number.
  [[nodiscard]] Fd take_program(const Fd& one) const {
    bpf_attr attr = {};
    attr.prog_id = program_id(one);
    return take(bpf(BPF_PROG_GET_FD_BY_ID, attr));
  }

  [[nodiscard]] Fd take(long number) const {
    const Fd process(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
    return Fd(static_cast<int>(::syscall(SYS_pidfd_getfd, process.get(), number, 0)));
  }

 private:
  pid_t pid_;
  std::optional<Registers> before_;  // where its next instruction is a system call
};

int error_in(long result) { return result < 0 ? static_cast<int>(-result) : 0; }

int write_as_manager(Victim& victim) {
  bpf_attr attr = {};
  attr.map_id = id_of_map(victim.control);
  return error_in(TakenOver().bpf(BPF_MAP_GET_FD_BY_ID, attr));
}

// A manager may have it: to look. What can be done with it?
int trace_as_manager(Victim& victim) {
  const TakenOver manager;
  const Fd program = manager.take_program(victim.program);
  if (!program) return ENOENT;
  Load request = program_of("fentry");
  request.btf_id = victim.function;
  request.change = [&](bpf_attr& load_attr) {
    load_attr.attach_prog_fd = static_cast<uint32_t>(program.get());
  };
  return load(request).error;
}

int detach_as_manager(Victim& victim) {
  const TakenOver manager;
  const Fd program = manager.take_program(victim.guard);
  if (!program) return ENOENT;
  return error_of(bpf_prog_detach2(program.get(), root_cgroup().get(), BPF_LSM_CGROUP));
}

// All that `events --follow` holds.
int write_by_what_a_reader_holds(Victim& victim) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    const Fd nowhere(::open("/dev/null", O_RDWR));
    ::dup2(nowhere.get(), STDOUT_FILENO);
    ::execlp("bpfwarden", "bpfwarden", "events", "--follow", nullptr);
    ::_exit(127);
  }
  std::this_thread::sleep_for(std::chrono::seconds(2));
  const Fd process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  int error = ENOENT;
  for (int number = 0; number < 256; number++) {
    const Fd got(static_cast<int>(::syscall(SYS_pidfd_getfd, process.get(), number, 0)));
    bpf_map_info info = {};
    uint32_t size = sizeof(info);
    if (!got || bpf_map_get_info_by_fd(got.get(), &info, &size) != 0) continue;
    if (info.id != id_of_map(victim.control) && info.id != id_of_map(victim.programs)) continue;
    std::array<char, 65536> bytes = {};
    error = error_of(bpf_map_update_elem(got.get(), bytes.data(), bytes.data(), BPF_ANY));
    if (error == 0) break;
  }
  ::kill(pid, SIGKILL);
  ::waitpid(pid, nullptr, 0);
  return error;
}

int apply_by_a_copy() {
  if (verdict_of("cp $(command -v bpfwarden) /tmp/copy") != 0) return ENOENT;
  return in_another_namespace("/tmp/copy");
}

}  // namespace

SealAttacks attacks_on_verbs() {
  const On sealed = On::sealed;
  return {
      {"bpfwarden off", kVerbs, EPERM, verb("off"), sealed},
      {"bpfwarden apply of a later version", kVerbs, EPERM,
       verb(std::string("apply --accept-denials --confirm-within 0 ") + kAnother), sealed},
      {"bpfwarden stage", kVerbs, EPERM, verb(std::string("stage ") + kAnother), sealed},
      {"bpfwarden promote", kVerbs, EPERM, verb("promote"), sealed},
      {"bpfwarden rollback", kVerbs, EPERM, verb("rollback"), sealed},
      {"bpfwarden confirm", kVerbs, EPERM, verb("confirm"), sealed},
      {"bpfwarden apply where its pins are hidden", kVerbs, EPERM,
       [](Victim&) { return in_another_namespace("bpfwarden"); }, sealed},
      {"apply by a copy of bpfwarden, with its pins hidden", kVerbs, EPERM,
       [](Victim&) { return apply_by_a_copy(); }, sealed},
      {"write a map as bpfwarden, under ptrace", kManager, ENOENT, write_as_manager, sealed},
      {"trace a program whose descriptor bpfwarden had", kManager, EPERM, trace_as_manager, sealed},
      {"detach the guard by what bpfwarden had", kManager, EPERM, detach_as_manager, sealed},
      {"write by what `events --follow` holds", kManager, EPERM, write_by_what_a_reader_holds,
       sealed},
  };
}

}  // namespace bpfwarden::vm
