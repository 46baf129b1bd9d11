// What a boot brings back, and what the kernel's command line makes of it; that the canary knows
// whether the kernel asks us.
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <fstream>

#include "tests/vm/helpers/scene.h"

namespace bpfwarden::vm {
namespace {

constexpr const char* kSocketsOnly = R"(
[[rules]]
name = "sockets"
allow = ["socket"]
signature = "unsigned"
)";

// The kernel's own cannot be changed while it runs: a file in its place is what the next boot's is.
class CommandLine {
 public:
  explicit CommandLine(const std::string& text) {
    std::ofstream("/tmp/cmdline") << text << '\n';
    REQUIRE(run("mount --bind /tmp/cmdline /proc/cmdline").status == 0);
  }
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;
  ~CommandLine() { run("umount /proc/cmdline"); }
};

void reboot_under(Warden& warden) {
  warden.apply("enforce", kSocketsOnly);
  REQUIRE(load({}).error == EPERM);
  lose_kernel_state();
}

}  // namespace

TEST_CASE("allow_everything_at_a_boot_before_any_policy", "[vm][boot][bare]") {
  const Ran boot = run("bpfwarden boot");
  CHECK(boot.status == 0);
  CHECK(says(boot, "systemctl reload bpfwarden"));
  CHECK(load({}).error == 0);
}

TEST_CASE("deny_at_a_boot_what_was_denied_before_it_and_see_a_canary_refused", "[vm][boot]") {
  Warden warden;
  reboot_under(warden);
  const Ran boot = run("bpfwarden boot");
  CHECK(boot.status == 0);
  CHECK(says(boot, "canary: a load that it denies was refused (xdp)"));
  CHECK(load({}).error == EPERM);
  CHECK(load(Load::packet_filter()).error == 0);
  // From the initramfs and by the unit: the second changes nothing.
  const auto generation = status()["generation"];
  CHECK(run("bpfwarden boot").status == 0);
  CHECK(status()["generation"] == generation);
}

TEST_CASE("allow_everything_at_a_boot_with_bpfwarden_off", "[vm][boot]") {
  Warden warden;
  reboot_under(warden);
  const CommandLine line("root=/dev/vda bpfwarden=audit quiet bpfwarden=off");
  const Ran boot = run("bpfwarden boot");
  CHECK(boot.status == 0);
  CHECK(says(boot, "<4>bpfwarden: warning: off: `bpfwarden=off`"));
  CHECK(load({}).error == 0);
  CHECK(run("bpfwarden status").status == 1);
}

TEST_CASE("allow_at_one_boot_with_bpfwarden_audit_and_deny_at_the_next", "[vm][boot][slow]") {
  Warden warden;
  reboot_under(warden);
  {
    const CommandLine line("bpfwarden=audit");
    const Ran boot = run("bpfwarden boot");
    CHECK(boot.status == 0);
    CHECK(says(boot, "audit by `bpfwarden=audit`"));
    CHECK(says(boot, "canary: a load that it denies was counted (xdp)"));
    CHECK(load({}).error == 0);
    CHECK(status()["mode"] == "audit");
  }
  lose_kernel_state();
  REQUIRE(run("bpfwarden boot").status == 0);
  CHECK(load({}).error == EPERM);
}

// Neither of what is not the parameter, nor of a value that means nothing.
TEST_CASE("deny_at_a_boot_with_a_command_line_that_only_looks_like_off", "[vm][boot][slow]") {
  Warden warden;
  reboot_under(warden);
  const CommandLine line("xbpfwarden=off bpfwarden=offf bpfwarden.off -- bpfwarden=off");
  const Ran boot = run("bpfwarden boot");
  CHECK(boot.status == 0);
  CHECK(says(boot, "neither `off` nor `audit`"));
  CHECK(load({}).error == EPERM);
}

// Before 7.3 this switch turns BPF LSM off, and nothing in our maps or pins shows it; since then it
// cannot be moved while hooks are there.
TEST_CASE("deny_to_come_up_in_silence_where_the_kernel_does_not_ask", "[vm][boot][slow]") {
  Warden warden;
  reboot_under(warden);
  REQUIRE(run("bpfwarden boot").status == 0);
  run("echo 0 > /proc/sys/kernel/ftrace_enabled");
  const bool is_asked = load({}).error == EPERM;
  const Ran boot = run("bpfwarden boot");
  CHECK(boot.status == (is_asked ? 0 : 1));
  CHECK(says(boot, is_asked ? "was refused" : "was let in"));
  run("echo 1 > /proc/sys/kernel/ftrace_enabled");
}

// What an initramfs brings back may be newer than what was confirmed since: a rollback, say.
TEST_CASE("allow_at_a_boot_what_is_saved_after_an_initramfs_with_a_newer_policy", "[vm][boot]") {
  Warden warden;
  warden.apply("enforce", kSocketsOnly);
  REQUIRE(run("cp -a /var/lib/bpfwarden/policies /tmp/saved").status == 0);
  warden.apply("enforce", "");
  REQUIRE(load(Load::packet_filter()).error == EPERM);
  REQUIRE(run("cp -a /tmp/saved/. /var/lib/bpfwarden/policies && rm -r /tmp/saved").status == 0);
  CHECK(run("bpfwarden boot").status == 0);
  CHECK(status()["policy_version"] == warden.version() - 1);
  CHECK(load(Load::packet_filter()).error == 0);
  CHECK(load({}).error == EPERM);
}

TEST_CASE("deny_at_a_boot_by_an_initramfs_from_before_off_and_tell_of_it", "[vm][boot]") {
  Warden warden;
  warden.apply("enforce", kSocketsOnly);
  REQUIRE(run("rm -r /var/lib/bpfwarden/policies").status == 0);
  const Ran boot = run("bpfwarden boot");
  CHECK(boot.status == 0);
  CHECK(says(boot, "is active, by an initramfs from before `bpfwarden off`"));
  CHECK(load({}).error == EPERM);
}

}  // namespace bpfwarden::vm
