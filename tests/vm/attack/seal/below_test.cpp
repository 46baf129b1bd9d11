// Ways to the kernel from below BPF: what [harden] closes, on a sealed host and on others.
#include <bpf/bpf.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>

#include "tests/vm/attack/control.h"
#include "tests/vm/attack/seal/below.h"
#include "tests/vm/attack/seal/host.h"
#include "tests/vm/helpers/attach/attach_routes.h"
#include "tests/vm/helpers/handles.h"
#include "tests/vm/helpers/places.h"

namespace bpfwarden::vm {
namespace {

using std::string;

constexpr const char* kAll = R"([harden]
modules  = "deny"
kexec    = "deny"
dev-mem  = "deny"
lockdown = ["integrity", "kcore", "kprobes", "perf"]
)";

constexpr const char* kSigned = R"([harden]
modules = "signed"
kexec   = "signed"
)";

// As who goes on with work.
constexpr const char* kUsual = R"([harden]
modules  = "deny"
kexec    = "deny"
dev-mem  = "deny"
lockdown = ["integrity"]
)";

BelowAttacks all_attacks_from_below() {
  BelowAttacks all;
  for (auto* const of :
       {attacks_by_modules, attacks_by_kexec, attacks_by_memory, attacks_by_lockdown})
    for (BelowAttack& attack : of()) all.push_back(std::move(attack));
  return all;
}

// What each event of [harden] since the last call was about.
bool tells_of(Warden& warden, const string& object, bool refused) {
  return std::ranges::any_of(events_of_hook(warden, "harden"), [&](const nlohmann::json& event) {
    return event["object"] == object && event["refused"] == refused &&
           event["cause"] == "hardened" && event["decision"] == "deny";
  });
}

void must_all_work(SealedHost& host, const BelowAttacks& attacks) {
  for (const BelowAttack& attack : attacks) {
    INFO(attack.name);
    const int error = attack.attempt();
    print_result(attack.name, error, host.load_unsigned(), host.load_signed(), "WORKS");
    CHECK(error == 0);
  }
}

void must_all_fail(SealedHost& host, const BelowAttacks& attacks) {
  for (const BelowAttack& attack : attacks) {
    INFO(attack.name);
    (void)host.warden().events();
    const int error = attack.attempt();
    const bool is_told = tells_of(host.warden(), attack.object, true);
    const int unsigned_load = host.load_unsigned(), signed_load = host.load_signed();
    print_result(attack.name, error, unsigned_load, signed_load);
    CHECK(error == EPERM);
    CHECK(is_told);
    CHECK(unsigned_load == EPERM);
    CHECK(signed_load == 0);
  }
}

string open_on_host() {
  const nlohmann::json now = status();
  string list;
  for (const auto& way : now["open"]) list += (list.empty() ? "" : ", ") + way.get<string>();
  return list;
}

void must_run(const string& command) {
  const Ran ran = run(command);
  INFO(command << "\n" << ran.output);
  CHECK(ran.status == 0);
}

}  // namespace

TEST_CASE("attack_seal_from_below_bpf_without_harden",
          "[vm][attack][not-held][bare][kernel][kernel:signature_attr][slow]") {
  SealedHost host;
  must_all_work(host, all_attacks_from_below());
  must_all_work(host, attacks_without_signature());
  CHECK(open_on_host() == "modules, kexec, /dev/mem, lockdown, reboot");
  CHECK(says(run("bpfwarden status"), "; open: modules, kexec, /dev/mem, lockdown, reboot"));
}

TEST_CASE("attack_seal_from_below_bpf_under_harden",
          "[vm][attack][bare][kernel][kernel:signature_attr]") {
  for (const BelowAttack& attack : all_attacks_from_below()) {
    INFO(attack.name);
    CHECK(attack.attempt() == 0);
  }
  SealedHost host({}, kAll);
  must_all_fail(host, all_attacks_from_below());
  CHECK(open_on_host() == "reboot");
  const Ran why = run("bpfwarden why --last 40");
  INFO(why.output);
  CHECK(says(why, "to load a kernel module"));
  CHECK(says(why, "modules = \"deny\""));
}

TEST_CASE("attack_seal_load_without_a_signature_under_harden",
          "[vm][attack][bare][slow][kernel][kernel:signature_attr][kernel:module_signatures]"
          "[kernel:kexec_signatures]") {
  for (const BelowAttack& attack : attacks_without_signature()) {
    INFO(attack.name);
    CHECK(attack.attempt() == 0);
  }
  SealedHost host({}, kSigned);
  must_all_fail(host, attacks_without_signature());
  CHECK(insert_module(signed_module()) == 0);
  CHECK(open_on_host() == "signed modules, signed kexec, /dev/mem, lockdown, reboot");
}

// The guard has no place behind them.
TEST_CASE("attack_seal_take_the_hooks_of_harden_away",
          "[vm][attack][not-held][bare][slow][kernel][kernel:signature_attr]") {
  Fd link;
  const auto prepare = [&](Warden&) {
    constexpr const char* kPin = "/sys/fs/bpf/bpfwarden/link_harden_read_file";
    link = Fd(bpf_obj_get(kPin));
    REQUIRE(link);
    REQUIRE(::unlink(kPin) == 0);
  };
  SealedHost host(prepare, kUsual);
  const auto insert = [] { return insert_module(signed_module()); };
  CHECK(insert() == EPERM);
  link.reset();
  int error = EPERM;
  for (int tries = 0; tries < 500 && error != 0; tries++) {
    error = insert();
    if (error != 0) ::usleep(10'000);
  }
  CHECK(error == 0);
  print_result("a stock module, once the hook is gone", error, host.load_unsigned(),
               host.load_signed(), "WORKS");
  CHECK(host.load_unsigned() == EPERM);
  CHECK(open_on_host() == "signed modules, signed kexec, reboot");
  CHECK(says(run("bpfwarden status"), "harden_read_file"));
}

TEST_CASE("seal_with_harden_leaves_honest_tools_working",
          "[vm][bare][kernel][kernel:signature_attr][slow]") {
  SealedHost host({}, kUsual);
  for (const char* command :
       {"bpftool prog list", "bpftool map list", "bpftool link list", "bpftool btf list",
        "bpftool net", "bpfwarden status", "bpfwarden inventory", "bpfwarden doctor",
        "bpfwarden metrics", "ping -c 1 -W 2 127.0.0.1",
        "mkdir -p /tmp/mounted && mount -t tmpfs tmpfs /tmp/mounted && umount /tmp/mounted",
        "ip link add harden1 type veth peer name harden2 && ip link del harden1",
        "ip link add harden3 type bridge && ip link del harden3",
        "tc qdisc add dev lo clsact && tc qdisc del dev lo clsact",
        "cat /sys/kernel/tracing/trace >/dev/null",
        "head -c 64 /sys/firmware/dmi/tables/DMI >/dev/null || true", "dmesg >/dev/null"})
    must_run(command);
  const string bundle = "/tmp/xdp_pass.bpfsig";
  must("bpfwarden sign " + string(kObjects) + "/xdp_pass.bpf.o " +
       host.warden().netops().options() + " -o " + bundle);
  must_run("bpfwarden run " + bundle);
  // As bpftrace does.
  const Fd program = loaded(program_of("fentry", "do_nanosleep"));
  CHECK(error_of_made(bpf_raw_tracepoint_open(nullptr, program.get())) == 0);
  CHECK(kprobe_event("do_nanosleep"));
  CHECK(tracepoint_event("sched/sched_switch"));
  CHECK(host.load_unsigned() == EPERM);
  CHECK(host.load_signed() == 0);
  CHECK(events_of_hook(host.warden(), "harden").empty());
}

TEST_CASE("attack_load_a_module_under_harden", "[vm][attack][control]") {
  const auto insert = [] { return insert_module(signed_module()); };
  Control([&] { return insert() == 0; }).must_have_worked();
  Warden warden;
  warden.apply("audit", "[harden]\nmodules = \"deny\"\n");
  (void)warden.events();
  CHECK(insert() == 0);
  CHECK(tells_of(warden, "modules", false));
  warden.apply("enforce", "[harden]\nmodules = \"deny\"\n", "allow");
  (void)warden.events();
  CHECK(insert() == EPERM);
  CHECK(tells_of(warden, "modules", true));
  warden.apply("enforce", "[harden]\nkexec = \"deny\"\n", "allow");
  CHECK(insert() == 0);
}

}  // namespace bpfwarden::vm
