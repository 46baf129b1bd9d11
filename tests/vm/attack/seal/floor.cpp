// Attacks on what all rests on: the guard of LSM_CGROUP, and kernel.ftrace_enabled.
#include <bpf/bpf.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <fstream>

#include "tests/vm/attack/seal/host.h"
#include "tests/vm/attack/seal/ring.h"
#include "tests/vm/helpers/attach/attach_routes.h"
#include "tests/vm/helpers/handles.h"
#include "tests/vm/helpers/sharing.h"
#include "tests/vm/machine/entries.h"

namespace bpfwarden::vm {
namespace {

constexpr const char* kOutranked = "a program of LSM_CGROUP that overrules the guard";
constexpr const char* kDetached = "the guard detached";
constexpr const char* kElsewhereCgroup = "the guard left by going to another cgroup";
constexpr const char* kSwitch = "kernel.ftrace_enabled=0";
constexpr const char* kSwitchFile = "/proc/sys/kernel/ftrace_enabled";
constexpr const char* kChild = "/sys/fs/cgroup/below";

Load lsm_cgroup() { return program_of("lsm_cgroup", "socket_listen"); }

Fd child_cgroup() {
  ::mkdir(kChild, 0755);
  return Fd(::open(kChild, O_RDONLY | O_CLOEXEC));
}

int outrank_by_link(const Fd& cgroup) {
  const Attempt program = load(lsm_cgroup());
  if (program.error != 0) return program.error;
  return error_of_made(bpf_link_create(program.fd.get(), cgroup.get(), BPF_LSM_CGROUP, nullptr));
}

int outrank_by_attach(const Fd& cgroup, uint32_t flags, int replaced = 0) {
  const Attempt program = load(lsm_cgroup());
  if (program.error != 0) return program.error;
  struct bpf_prog_attach_opts options = {};
  options.sz = sizeof(options);
  options.flags = flags;
  options.replace_prog_fd = replaced;
  const int error =
      error_of(bpf_prog_attach_opts(program.fd.get(), cgroup.get(), BPF_LSM_CGROUP, &options));
  if (error == 0) (void)bpf_prog_detach2(program.fd.get(), cgroup.get(), BPF_LSM_CGROUP);
  return error;
}

int detach_by_int80(Victim& victim) {
  const Fd root = root_cgroup();
  bpf_attr& attr = low_attr();
  attr.target_fd = static_cast<uint32_t>(root.get());
  attr.attach_bpf_fd = static_cast<uint32_t>(victim.guard.get());
  attr.attach_type = BPF_LSM_CGROUP;
  const long done = by_int80(357, BPF_PROG_DETACH, reinterpret_cast<uint64_t>(&attr), sizeof(attr));
  return done < 0 ? static_cast<int>(-done) : 0;
}

int in_a_cgroup_namespace(const std::function<int()>& attempt) {
  return in_child([&] { return ::unshare(CLONE_NEWCGROUP) != 0 ? errno : attempt(); });
}

// ---- Loads of a task that has gone away ---------------------------------------------------------

int load_below(const char* type) {
  const Fd cgroup = child_cgroup();
  if (type != nullptr) std::ofstream(std::string(kChild) + "/cgroup.type") << type;
  return in_child([] {
    std::ofstream(std::string(kChild) + "/cgroup.threads") << ::getpid();
    std::ofstream(std::string(kChild) + "/cgroup.procs") << ::getpid();
    return load(Load{}).error;
  });
}

int load_without_cgroup2() {
  return in_own_mounts([] {
    if (::umount2("/sys/fs/cgroup", MNT_DETACH) != 0) return errno;
    (void)::mount("cgroup", "/sys/fs/cgroup", "cgroup", 0, "none,name=old");
    return load(Load{}).error;
  });
}

int load_in_namespaces() {
  return in_child([] {
    constexpr int all = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS;
    return ::unshare(all) != 0 ? errno : load(Load{}).error;
  });
}

// ---- kernel.ftrace_enabled ----------------------------------------------------------------------

int write_switch(int flags, const char* path) {
  const Fd file(::open(path, flags | O_CLOEXEC));
  if (!file) return errno;
  return error_of(static_cast<int>(::write(file.get(), "1", 1)));
}

int write_by_path_descriptor() {
  const Fd path(::open(kSwitchFile, O_PATH | O_CLOEXEC));
  return write_switch(O_WRONLY, ("/proc/self/fd/" + std::to_string(path.get())).c_str());
}

int write_by_another_mount(const char* where, const char* command) {
  ::mkdir(where, 0755);
  if (const int failed = verdict_of(command); failed != 0) return failed;
  const std::string file = std::string(where) + "/sys/kernel/ftrace_enabled";
  const int error = write_switch(O_WRONLY, file.c_str());
  ::umount2(where, MNT_DETACH);
  return error;
}

int write_by_another_name() {
  constexpr const char* kName = "/tmp/another-name";
  std::ofstream{kName};
  if (::mount(kSwitchFile, kName, nullptr, MS_BIND, nullptr) != 0) return errno;
  const int error = write_switch(O_WRONLY, kName);
  ::umount2(kName, MNT_DETACH);
  return error;
}

}  // namespace

SealAttacks attacks_on_the_guard() {
  const auto attach = [](uint32_t flags) -> TryOn {
    return [=](Victim&) { return outrank_by_attach(root_cgroup(), flags); };
  };
  const auto alone = [](int (*attempt)()) -> TryOn { return [=](Victim&) { return attempt(); }; };
  return {
      {"overrule the guard by a link", kOutranked, EPERM,
       [](Victim&) { return outrank_by_link(root_cgroup()); }},
      {"overrule it by PROG_ATTACH", kOutranked, EPERM, attach(BPF_F_ALLOW_MULTI)},
      {"overrule it before all others", kOutranked, EPERM,
       attach(BPF_F_ALLOW_MULTI | BPF_F_PREORDER)},
      {"overrule it below", kOutranked, EPERM,
       [](Victim&) { return outrank_by_link(child_cgroup()); }},
      {"overrule it beside a thread", kOutranked, EPERM,
       [](Victim&) {
         const Companion thread;
         return outrank_by_link(root_cgroup());
       }},
      {"overrule it from a cgroup namespace", kOutranked, EPERM,
       [](Victim&) {
         return in_a_cgroup_namespace([] { return outrank_by_link(root_cgroup()); });
       }},
      {"replace a program of the guard", kDetached, EPERM,
       [](Victim& victim) {
         return outrank_by_attach(root_cgroup(), BPF_F_ALLOW_MULTI | BPF_F_REPLACE,
                                  victim.guard.get());
       }},
      {"detach it by a descriptor of before", kDetached, EPERM,
       [](Victim& victim) {
         return error_of(bpf_prog_detach2(victim.guard.get(), root_cgroup().get(), BPF_LSM_CGROUP));
       }},
      {"detach it without a descriptor", kDetached, EPERM,
       [](Victim&) { return error_of(bpf_prog_detach(root_cgroup().get(), BPF_LSM_CGROUP)); },
       On::sealed},
      {"detach it by int 0x80", kDetached, EPERM, detach_by_int80},
      {"detach it from a cgroup namespace", kDetached, EPERM,
       [](Victim& victim) {
         return in_a_cgroup_namespace([&] {
           return error_of(
               bpf_prog_detach2(victim.guard.get(), root_cgroup().get(), BPF_LSM_CGROUP));
         });
       }},
      {"load from a new cgroup", kElsewhereCgroup, EPERM,
       [](Victim&) { return load_below(nullptr); }},
      {"load from a threaded cgroup", kElsewhereCgroup, EPERM,
       [](Victim&) { return load_below("threaded"); }},
      {"load with cgroup2 unmounted, and cgroup mounted", kElsewhereCgroup, EPERM,
       alone(load_without_cgroup2)},
      {"load from namespaces of one's own", kElsewhereCgroup, EPERM, alone(load_in_namespaces)},
      {"write it", kSwitch, EPERM, [](Victim&) { return write_switch(O_WRONLY, kSwitchFile); }},
      {"write it, opened to read and to write", kSwitch, EPERM,
       [](Victim&) { return write_switch(O_RDWR | O_TRUNC, kSwitchFile); }},
      {"write it by a descriptor that is only a path", kSwitch, EPERM,
       alone(write_by_path_descriptor)},
      {"write it in another mount of procfs", kSwitch, EPERM,
       [](Victim&) { return write_by_another_mount("/tmp/proc", "mount -t proc proc /tmp/proc"); }},
      {"write it in a mount bound elsewhere", kSwitch, EPERM,
       [](Victim&) {
         return write_by_another_mount("/tmp/bound", "mount --bind /proc /tmp/bound");
       }},
      {"write it under another name, by a bind mount", kSwitch, EPERM,
       alone(write_by_another_name)},
      {"write it from a pid namespace with a procfs of its own", kSwitch, EPERM,
       [](Victim&) {
         return verdict_of(
             "unshare -p -f -m sh -c 'mount -t proc proc /proc && "
             "echo 1 > /proc/sys/kernel/ftrace_enabled'");
       }},
      {"write it by sysctl -w", kSwitch, EPERM,
       [](Victim&) { return verdict_of("sysctl -w kernel.ftrace_enabled=1"); }},
      {"write it by io_uring", kSwitch, EPERM,
       [](Victim&) { return open_by_io_uring(kSwitchFile, O_WRONLY); }},
  };
}

}  // namespace bpfwarden::vm
