#include "tests/vm/helpers/delegation.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <csignal>
#include <fstream>

namespace bpfwarden::vm {
namespace {

constexpr int kNotDelegated = 255;

bool write_to(const char* file, const char* text) {
  std::ofstream stream(file);
  stream << text << std::flush;
  return stream.good();
}

bool become_root_of_a_namespace() {
  return ::unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 && write_to("/proc/self/setgroups", "deny") &&
         write_to("/proc/self/uid_map", "0 0 1") && write_to("/proc/self/gid_map", "0 0 1");
}

// In the child. A file system belongs to the user namespace that its context was opened in, but
// only the initial one may say what is delegated: so the parent does, in between.
int do_delegated(const Fd& parent, const DelegatedChild::Work& work) {
  if (!become_root_of_a_namespace()) return kNotDelegated;
  const Fd context(::fsopen("bpf", FSOPEN_CLOEXEC));
  const int number = context.get();
  char done = 0;
  if (::send(parent.get(), &number, sizeof(number), 0) != sizeof(number) ||
      ::recv(parent.get(), &done, sizeof(done), 0) != sizeof(done))
    return kNotDelegated;
  const Fd mount(::fsmount(context.get(), FSMOUNT_CLOEXEC, 0));
  const Fd root(::openat(mount.get(), ".", O_DIRECTORY | O_CLOEXEC));
  return root ? work(root) : kNotDelegated;
}

bool delegate_everything(const Fd& context) {
  for (const char* what : {"delegate_cmds", "delegate_maps", "delegate_progs", "delegate_attachs"})
    if (::fsconfig(context.get(), FSCONFIG_SET_STRING, what, "any", 0) != 0) return false;
  return ::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) == 0;
}

// In the parent.
bool delegate_to(pid_t pid, const Fd& child) {
  int number = -1;
  if (::recv(child.get(), &number, sizeof(number), 0) != sizeof(number)) return false;
  // The header of glibc 2.36 declares its wrappers for C alone.
  const Fd process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  const Fd context(static_cast<int>(::syscall(SYS_pidfd_getfd, process.get(), number, 0)));
  const char done = 1;
  return delegate_everything(context) && ::send(child.get(), &done, sizeof(done), 0) == 1;
}

}  // namespace

DelegatedChild::DelegatedChild(const Work& work) : pid_(-1) {
  std::array<int, 2> ends = {};
  REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) == 0);
  Fd ours(ends[0]), theirs(ends[1]);
  pid_ = ::fork();
  if (pid_ == 0) {
    ours.reset();
    ::_exit(do_delegated(theirs, work));
  }
  theirs.reset();
  const bool is_delegated = pid_ > 0 && delegate_to(pid_, ours);
  CHECK(is_delegated);
}

DelegatedChild::~DelegatedChild() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

int DelegatedChild::result() {
  int status = 0;
  REQUIRE(::waitpid(pid_, &status, 0) == pid_);
  pid_ = -1;
  REQUIRE(WIFEXITED(status));
  REQUIRE(WEXITSTATUS(status) != kNotDelegated);
  return WEXITSTATUS(status);
}

int in_delegated_child(const DelegatedChild::Work& work) { return DelegatedChild(work).result(); }

Attempt create_token(const Fd& bpffs) {
  bpf_attr attr = {};
  attr.token_create.bpffs_fd = static_cast<uint32_t>(bpffs.get());
  const long fd = ::syscall(SYS_bpf, BPF_TOKEN_CREATE, &attr, sizeof(attr));
  if (fd < 0) return {errno, Fd()};
  return {0, Fd(static_cast<int>(fd))};
}

Load with_token(Load request, const Fd& token) {
  request.change = [number = token.get(), before = std::move(request.change)](bpf_attr& attr) {
    if (before) before(attr);
    attr.prog_flags |= BPF_F_TOKEN_FD;
    attr.prog_token_fd = number;
  };
  return request;
}

}  // namespace bpfwarden::vm
