// Attempts by a path that leads to another file.
#include <bpf/bpf.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <fstream>

#include "loader/kernel/syscall.h"
#include "tests/vm/attack/control.h"
#include "tests/vm/helpers/attach/attach_routes.h"
#include "tests/vm/helpers/handles.h"
#include "tests/vm/helpers/needs.h"
#include "tests/vm/helpers/places.h"
#include "tests/vm/helpers/sharing.h"
#include "tests/vm/helpers/symbols.h"

namespace bpfwarden::vm {
namespace {

constexpr const char *kVictim = kUprobed, *kFolder = "/tmp/fl", *kAllowed = "/tmp/fl/allowed";

std::string rule(const std::string& action, const std::string& what) {
  return "[[rules]]\nname = \"" + action + " it\"\n" + action + " = [" + what +
         "]\nsignature = \"unsigned\"\n";
}

const std::string kRule = rule("allow", R"("uprobe//tmp/fl/allowed:0x1000")");

// /tmp/fl with a file of its own, and folders to mount on.
class Files {
 public:
  Files() {
    clear();
    must(
        "mkdir -p /tmp/fl/sub /tmp/fl/jail/tmp/fl && cp /usr/bin/busybox /tmp/fl/allowed && "
        "cp /usr/bin/openssl /tmp/fl/jail/tmp/fl/allowed && cp /tmp/fl/allowed "
        "/tmp/fl/sub/allowed");
  }
  Files(const Files&) = delete;
  Files& operator=(const Files&) = delete;
  ~Files() { clear(); }

 private:
  static void clear() {
    run("umount -l /tmp/fl/sub/allowed; umount -l /tmp/fl/sub; umount -l /tmp/fl/allowed; umount "
        "-l /tmp/fl; rm -rf /tmp/fl");
  }
};

// 0, or the errno of whichever step.
int probe(const Fd& program, const std::string& path) {
  perf_event_attr attr = {};
  std::ifstream("/sys/bus/event_source/devices/uprobe/type") >> attr.type;
  attr.size = sizeof(attr);
  attr.uprobe_path = loader::as_u64(path.c_str());
  attr.probe_offset = 0x1000;
  const Fd event(
      static_cast<int>(::syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC)));
  if (!event) return errno;
  return error_of(::ioctl(event.get(), PERF_EVENT_IOC_SET_BPF, program.get()));
}

std::string through(const Fd& file) { return "/proc/self/fd/" + std::to_string(file.get()); }

void mount_over(const std::string& from, const std::string& to) {
  must("mount --bind " + from + " " + to);
}

const Control bound([] {
  const Files files;
  const Fd program = loaded(program_of("uprobe"));
  mount_over(kVictim, kAllowed);
  return probe(program, kAllowed) == 0;
});

std::string refused_at(Warden& warden) {
  const auto refused = last_refused_attachment(warden);
  return refused.is_null() ? "" : refused["attach"].get<std::string>();
}

constexpr const char *kAtVictim = "uprobe//usr/bin/openssl:0x1000", *kNowhere = "uprobe/…";

std::string own_executable() { return std::filesystem::read_symlink("/proc/self/exe").string(); }

}  // namespace

TEST_CASE("attack_mount_another_file_over_the_allowed_one", "[vm][attack][control]") {
  bound.must_have_worked();
  const Files files;
  Warden warden;
  warden.apply("enforce", kRule);
  const Fd program = loaded(program_of("uprobe"));
  CHECK(probe(program, kAllowed) == 0);
  mount_over(kVictim, kAllowed);
  CHECK(probe(program, kAllowed) == EPERM);
  CHECK(refused_at(warden) == kAtVictim);
  must("umount /tmp/fl/allowed");
  CHECK(probe(program, kAllowed) == 0);
  mount_over("/tmp/fl/jail/tmp/fl", kFolder);  // a folder on the way
  CHECK(probe(program, kAllowed) == EPERM);
  CHECK(refused_at(warden) == "uprobe//tmp/fl/jail/tmp/fl/allowed:0x1000");
  must("umount /tmp/fl");
  // The allowed file, wherever it is seen.
  mount_over(kAllowed, "/tmp/fl/sub/allowed");
  CHECK(probe(program, "/tmp/fl/sub/allowed") == 0);
}

// The hook sees the path, and what it led to is seen in the link.
TEST_CASE("attack_mount_another_file_over_the_path_of_a_link",
          "[vm][attack][control][kernel][kernel:user_strings][kernel:task_work][kernel:task_work_"
          "impl]") {
  bound.must_have_worked();
  const Files files;
  Warden warden;
  warden.apply("enforce", rule("allow", R"("uprobe.multi//tmp/fl/allowed:0x1000")"));
  const Fd program = loaded(program_of("uprobe.multi"));
  const auto attach = [&] {
    return attach_offsets(program, BPF_TRACE_UPROBE_MULTI, 0, kAllowed, {0x1000});
  };
  CHECK(attach() == (awaits_ends() ? 0 : EPERM));
  if (!awaits_ends()) return;
  mount_over(kVictim, kAllowed);
  const pid_t child = ::fork();
  if (child == 0) ::_exit(attach());
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK((WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
  const auto told = last_refused_attachment(warden);
  CHECK(told["cause"] == "attach-race");
  CHECK(told["attach"] == "uprobe.multi//usr/bin/openssl:0x1000");
  must("umount /tmp/fl/allowed");
  CHECK(attach() == 0);
}

TEST_CASE("attack_mount_another_file_system_over_the_allowed_file", "[vm][attack][control]") {
  bound.must_have_worked();
  const Files files;
  Warden warden;
  warden.apply("enforce", rule("allow", R"("uprobe//tmp/fl/*")"));
  const Fd program = loaded(program_of("uprobe"));
  const char* file = "/tmp/fl/sub/allowed";
  CHECK(probe(program, file) == 0);
  must("mount -t tmpfs none /tmp/fl/sub && cp /usr/bin/busybox /tmp/fl/sub/allowed");
  CHECK(probe(program, file) == EPERM);
  CHECK(refused_at(warden) == kNowhere);
  warden.apply("enforce", rule("allow", R"("uprobe//tmp/fl/*", "uprobe//elsewhere:0x1")"));
  CHECK(probe(program, file) == 0);  // it was there when the policy was applied
  // Its number may be given to the next one.
  must("umount /tmp/fl/sub && mount -t tmpfs none /tmp/fl/sub && cp /usr/bin/busybox " +
       std::string(file));
  CHECK(probe(program, file) == EPERM);
  must("umount /tmp/fl/sub");
  if (run("mount -t overlay none -o lowerdir=/usr/bin:/tmp/fl/jail /tmp/fl/sub").status == 0) {
    CHECK(probe(program, "/tmp/fl/sub/openssl") == EPERM);
    CHECK(refused_at(warden) == kNowhere);
  }
}

TEST_CASE("attack_read_the_path_from_another_root_or_namespace", "[vm][attack][control]") {
  bound.must_have_worked();
  const Files files;
  Warden warden;
  warden.apply("enforce", kRule);
  const Fd program = loaded(program_of("uprobe"));
  const auto in_jail = [&] {
    return in_child([&] {
      if (::chroot("/tmp/fl/jail") != 0) return errno;
      return probe(program, kAllowed);
    });
  };
  const auto in_namespace = [&](const char* over) {
    return in_child([&] {
      if (::unshare(CLONE_NEWNS) != 0) return errno;
      if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return errno;
      if (over && ::mount(over, kAllowed, nullptr, MS_BIND, nullptr) != 0) return errno;
      return probe(program, kAllowed);
    });
  };
  CHECK(in_jail() != 0);
  CHECK(in_namespace(kVictim) == EPERM);
  CHECK(refused_at(warden) == kAtVictim);
  CHECK(in_namespace(nullptr) == 0);  // the very file of the host
}

TEST_CASE("attack_name_the_victim_by_a_hard_link", "[vm][attack][control]") {
  bound.must_have_worked();
  const Files files;
  Warden warden;
  warden.apply("enforce",
               rule("deny", R"("uprobe//usr/bin/openssl:*")") + rule("allow", R"("uprobe/*")"));
  const Fd program = loaded(program_of("uprobe"));
  CHECK(probe(program, kVictim) == EPERM);
  CHECK(probe(program, kAllowed) == 0);
  must("ln -f /usr/bin/openssl /usr/bin/fl-link");
  CHECK(probe(program, "/usr/bin/fl-link") == EPERM);
  must("rm /usr/bin/fl-link");
}

TEST_CASE("attack_probe_a_file_that_has_no_path", "[vm][attack][control]") {
  bound.must_have_worked();
  const Files files;
  Warden warden;
  warden.apply("enforce", kRule);
  const Fd program = loaded(program_of("uprobe"));
  const Fd file(::open(kAllowed, O_RDONLY | O_CLOEXEC));
  CHECK(probe(program, through(file)) == 0);
  // As dpkg does it.
  must(
      "cp /tmp/fl/allowed /tmp/fl/allowed.dpkg-new && mv /tmp/fl/allowed.dpkg-new /tmp/fl/allowed");
  CHECK(probe(program, kAllowed) == 0);
  CHECK(probe(program, through(file)) == EPERM);  // the old one, which is deleted
  CHECK(refused_at(warden) == kNowhere);
  const Fd memory(::memfd_create("allowed", MFD_CLOEXEC));
  must("cat /usr/bin/busybox >/proc/" + std::to_string(::getpid()) + "/fd/" +
       std::to_string(memory.get()));
  CHECK(probe(program, through(memory)) == EPERM);
}

TEST_CASE("attack_load_by_the_path_of_an_allowed_executable_in_another_root",
          "[vm][attack][control]") {
  bound.must_have_worked();
  const Files files;
  Warden warden;
  const auto exe_rule = [](const std::string& exe) {
    return rule("allow", R"("xdp")") + "exe = [\"" + exe + "\"]\n";
  };
  const std::string own = own_executable();
  warden.apply("enforce", exe_rule("/tmp/fl/allowed"));
  // Seen from that root, this program is the allowed one.
  must("touch /tmp/fl/jail/tmp/fl/allowed && mount --bind " + own + " /tmp/fl/jail/tmp/fl/allowed");
  CHECK(load(Load{}).error == EPERM);
  CHECK(in_child([] {
          if (::chroot("/tmp/fl/jail") != 0) return 100;
          return load(Load{}).error;
        }) == EPERM);
  warden.apply("enforce", exe_rule(own));
  CHECK(load(Load{}).error == 0);
  CHECK(in_child([] {
          if (::unshare(CLONE_NEWNS) != 0) return 100;
          return load(Load{}).error;
        }) == 0);
  CHECK(in_child([] {
          if (::chroot("/tmp/fl/jail") != 0) return 100;
          return load(Load{}).error;
        }) == 0);
  run("umount -l /tmp/fl/jail/tmp/fl/allowed");
}

}  // namespace bpfwarden::vm
