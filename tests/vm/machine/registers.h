// Another process's registers, by ptrace(2): system calls that it makes, by architecture.
#pragma once

#include <elf.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>

#include <array>
#include <cstdint>
#include <stdexcept>

namespace bpfwarden::vm {

// Those of a process that is stopped and traced by the caller. What is changed counts once it is
// written. Throws where the process cannot be asked.
class Registers {
 public:
  explicit Registers(pid_t process) : process_(process) { move(PTRACE_GETREGSET); }
  void write() { move(PTRACE_SETREGSET); }

#ifdef __x86_64__
  static constexpr long kInstruction = 0x050f;  // a system call
  [[nodiscard]] uint64_t next() const { return all_.rip; }
  [[nodiscard]] uint64_t stack() const { return all_.rsp; }
  [[nodiscard]] long result() const { return static_cast<long>(all_.rax); }
  void set_result(long result) { all_.rax = static_cast<uint64_t>(result); }
  // Before it runs kInstruction.
  void set_call(long number, const std::array<uint64_t, 3>& arguments) {
    all_.rax = static_cast<uint64_t>(number);
    all_.orig_rax = static_cast<uint64_t>(-1);
    all_.rdi = arguments[0];
    all_.rsi = arguments[1];
    all_.rdx = arguments[2];
  }
  // Where it has just entered a call: it makes none.
  void drop_call() {
    all_.orig_rax = static_cast<uint64_t>(-1);
    write();
  }
#else
  static constexpr long kInstruction = 0xd4000001;  // svc #0
  [[nodiscard]] uint64_t next() const { return all_.pc; }
  [[nodiscard]] uint64_t stack() const { return all_.sp; }
  [[nodiscard]] long result() const { return static_cast<long>(all_.regs[0]); }
  void set_result(long result) { all_.regs[0] = static_cast<uint64_t>(result); }
  void set_call(long number, const std::array<uint64_t, 3>& arguments) {
    all_.regs[8] = static_cast<uint64_t>(number);
    for (size_t i = 0; i < arguments.size(); i++) all_.regs[i] = arguments[i];
  }
  void drop_call() {
    int none = -1;
    iovec value = {&none, sizeof(none)};
    ask(PTRACE_SETREGSET, NT_ARM_SYSTEM_CALL, value);
  }
#endif

 private:
  void move(int request) {
    iovec value = {&all_, sizeof(all_)};
    ask(request, NT_PRSTATUS, value);
  }
  void ask(int request, long set, iovec& value) const {
    if (::ptrace(static_cast<__ptrace_request>(request), process_, set, &value) != 0)
      throw std::runtime_error("cannot ask for the registers of a process");
  }

  pid_t process_;
  user_regs_struct all_ = {};
};

}  // namespace bpfwarden::vm
