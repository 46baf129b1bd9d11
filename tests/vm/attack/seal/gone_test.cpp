// Links of a sealed host taken away: by their file system, by a mount above it, by the end of its
// mount namespace, or one after the other. The guard behind them stops all loading.
#include <bpf/bpf.h>
#include <sys/mount.h>
#include <unistd.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <map>

#include "loader/btf/kernel_has.h"
#include "tests/vm/attack/seal/gone.h"
#include "tests/vm/helpers/places.h"
#include "tests/vm/machine/entries.h"

namespace bpfwarden::vm {
namespace {

void add_attempts_on_the_guard(GoneAttempts& attempts, SealedHost& host) {
  Victim* const own = &host.own();
  attempts.push_back(
      {"detach the guard by a descriptor of before", [=] {
         return error_of(bpf_prog_detach2(own->guard.get(), root_cgroup().get(), BPF_LSM_CGROUP));
       }});
  attempts.push_back({"detach the guard without a descriptor", [] {
                        return error_of(bpf_prog_detach(root_cgroup().get(), BPF_LSM_CGROUP));
                      }});
  attempts.push_back({"write the control word by a descriptor of before", [=] {
                        const uint32_t key = 0;
                        std::array<char, 4096> word = {};
                        return error_of(
                            bpf_map_update_elem(own->control.get(), &key, word.data(), BPF_ANY));
                      }});
  for (const char* verb : {"off", "apply --confirm-within 0 /opt/bpfwarden/rest.toml"})
    attempts.push_back({std::string("bpfwarden ") + verb,
                        [=] { return verdict_of(std::string("bpfwarden ") + verb); }});
}

// Descriptors of links, whose pins are taken away: once they are closed, so are the hooks.
class Loose {
 public:
  void loosen(const std::string& hook) {
    const std::string pin = "/sys/fs/bpf/bpfwarden/link_" + hook;
    links_[hook] = Fd(bpf_obj_get(pin.c_str()));
    REQUIRE(links_[hook]);
    REQUIRE(::unlink(pin.c_str()) == 0);
  }
  void lose(const std::string& hook) { links_[hook].reset(); }

 private:
  std::map<std::string, Fd> links_;
};

struct Loss {
  const char* hook;
  const char* attempt;  // of attempts_by_hand(), which then is refused
  bool loads = true;    // whether signed programs are still admitted
};

// What all passes by comes last. A signature that lies beside the call lies in a map, which nobody
// is given any more once that hook is gone.
const Loss kLosses[] = {
    {"attach_netlink", "xdp by netlink"},
    {"attach_setsockopt", "SO_ATTACH_BPF"},
    {"attach_ioctl", "PERF_EVENT_IOC_SET_BPF"},
    {"attach_ioctl_compat", "PERF_EVENT_IOC_SET_BPF by int 0x80"},
    {"warden_map_create", "a map"},
    {"give_map", "a map by its number", BW_KERNEL_HAS(signature_attr)},
    {"warden_prog", "a program by its number", false},
    {"warden_prog_load", kHasInt80 ? "load by int 0x80" : "RAW_TRACEPOINT_OPEN", false},
    {"warden_bpf", "PROG_TEST_RUN", false},
};

GoneAttempt& named(GoneAttempts& attempts, const std::string& name) {
  for (GoneAttempt& one : attempts)
    if (one.name == name) return one;
  FAIL("no attempt " << name);
  return attempts.front();
}

}  // namespace

TEST_CASE("attack_seal_after_the_pins_are_unmounted",
          "[vm][attack][bare][kernel][kernel:exclusive_maps][kernel:signature_attr]") {
  const Held held;
  GoneAttempts attempts = attempts_by_hand(held);
  for (GoneAttempt& one : attempts_by_route()) attempts.push_back(std::move(one));
  CHECK(attempts.size() >= 40);
  control_attempts(attempts);
  SealedHost host;
  Denials denials;
  add_attempts_on_the_guard(attempts, host);
  host.own().link.reset();
  REQUIRE(::umount2("/sys/fs/bpf", MNT_DETACH) == 0);
  must_stop(host.signed_load(), attempts);
  const std::set<std::string> told = denials.silent_hooks();
  const auto is_told = [&](const char* hook) { return told.contains(std::string("hook ") + hook); };
  for (const char* hook : {"warden_bpf", "attach_ioctl", "attach_setsockopt", "attach_netlink"}) {
    INFO(hook);
    CHECK(is_told(hook));
  }
  CHECK(is_told("attach_ioctl_compat") == kHasInt80);
}

TEST_CASE("attack_seal_after_a_mount_above_is_unmounted",
          "[vm][attack][bare][slow][kernel][kernel:exclusive_maps][kernel:signature_attr]") {
  const Held held;
  SealedHost host;
  host.own().link.reset();
  GoneAttempts attempts = attempts_by_hand(held);
  REQUIRE(::umount2("/sys", MNT_DETACH) == 0);
  must(
      "mount -t sysfs sysfs /sys && mount -t cgroup2 cgroup2 /sys/fs/cgroup && "
      "mount -t tracefs tracefs /sys/kernel/tracing && mount -t bpf bpf /sys/fs/bpf");
  add_attempts_on_the_guard(attempts, host);
  must_stop(host.signed_load(), attempts);
}

TEST_CASE("attack_seal_after_their_mount_namespace_has_ended",
          "[vm][attack][bare][slow][kernel][kernel:exclusive_maps][kernel:signature_attr]") {
  const Held held;
  GoneAttempts attempts = attempts_by_hand(held);
  Warden warden;
  const std::string policy = warden.write_policy(
      "enforce",
      "seal = true\n[[rules]]\nname = \"team\"\nallow = [\"xdp\"]\nsigned-by = [\"netops\"]\n",
      warden.raise_version());
  must(
      "unshare -m sh -c 'mount -t bpf bpf /sys/fs/bpf && "
      "bpfwarden apply --accept-denials --confirm-within 0 " +
      policy + "'");
  must_stop(Load{}.signed_by(warden.netops()), attempts);
}

// Each would take the guard away as well: kernel.ftrace_enabled before Linux 7.3, and an iterator
// that writes the control word.
TEST_CASE("attack_seal_open_files_once_their_hook_is_gone",
          "[vm][attack][bare][kernel][kernel:signature_attr][slow]") {
  Loose loose;
  SealedHost host([&](Warden&) { loose.loosen("attach_opened"); });
  const std::string iterator = pin_iterator_over(host.own().control);
  loose.lose("attach_opened");
  const auto is_gone = [] { return status()["hooks_missing"].empty() ? 0 : EPERM; };
  REQUIRE(settled(is_gone) == EPERM);
  host.must_withstand({
      {"attach_opened gone: kernel.ftrace_enabled=0", "kernel.ftrace_enabled=0", EPERM,
       [](Victim&) { return verdict_of("echo 0 > /proc/sys/kernel/ftrace_enabled"); }},
      {"attach_opened gone: read an iterator over the control word", "a program that binds a map",
       EPERM, [&](Victim&) { return verdict_of("cat " + iterator); }},
  });
}

TEST_CASE("attack_seal_after_one_hook_after_the_other_is_gone",
          "[vm][attack][bare][slow][kernel][kernel:exclusive_maps][kernel:signature_attr]") {
  const Held held;
  GoneAttempts attempts = attempts_by_hand(held);
  Loose loose;
  SealedHost host([&](Warden&) {
    for (const Loss& loss : kLosses) loose.loosen(loss.hook);
  });
  host.own().link.reset();
  Denials denials;
  for (const Loss& loss : kLosses) {
    if (!has_entry_of(loss.attempt)) continue;
    GoneAttempt& attempt = named(attempts, loss.attempt);
    INFO(loss.hook);
    if (loss.loads) CHECK(attempt.attempt() == 0);
    loose.lose(loss.hook);
    const int error = settled([&] { return attempt.attempt(); });
    const int signed_load =
        loss.loads ? host.load_signed() : settled([&] { return host.load_signed(); });
    print_result(std::string(loss.hook) + " gone: " + loss.attempt, error, host.load_unsigned(),
                 signed_load);
    CHECK(error == EPERM);
    CHECK(host.load_unsigned() == EPERM);
    CHECK(signed_load == (loss.loads ? 0 : EPERM));
    CHECK(denials.silent_hooks().contains(std::string("hook ") + loss.hook));
  }
}

}  // namespace bpfwarden::vm
