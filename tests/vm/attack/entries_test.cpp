// Every entry of the kernel counts, and arguments as it takes them: system calls of the 32-bit
// table by int 0x80, which any process may make, and registers whose upper halves mean nothing.
#include <bpf/bpf.h>
#include <keyutils.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>

#include "library/bpfwarden/load.h"
#include "loader/kernel/syscall.h"
#include "tests/vm/attack/control.h"
#include "tests/vm/helpers/attach/attach_routes.h"
#include "tests/vm/helpers/handles.h"
#include "tests/vm/helpers/needs.h"
#include "tests/vm/helpers/scene.h"
#include "tests/vm/helpers/sharing.h"
#include "tests/vm/machine/entries.h"

namespace bpfwarden::vm {
namespace {

constexpr uint64_t kJunk = 0x1'0000'0000;
constexpr uint64_t kBpf32 = 357, kKeyctl32 = 288, kX32 = 0x4000'0000;

// An entry, called as it is: no wrapper tidies a register. Returns what the kernel does.
using Entry = long (*)(uint64_t number, uint64_t first, uint64_t second, uint64_t third);

int error_of_entry(long result) { return result < 0 ? static_cast<int>(-result) : 0; }

// ---- Keys ---------------------------------------------------------------------------------------

struct Call {
  const char* name;
  Entry entry;
  uint64_t number, command;
};

constexpr Call kCalls[] = {
#ifdef __x86_64__
    {"32 bits", by_int80, kKeyctl32, KEYCTL_INVALIDATE},
    {"32 bits, junk beside the command", by_int80, kKeyctl32, kJunk | KEYCTL_INVALIDATE},
    {"32 bits, junk beside both", by_int80, kJunk | kKeyctl32, kJunk | KEYCTL_INVALIDATE},
#endif
    {"64 bits, junk beside the command", by_syscall, SYS_keyctl, kJunk | KEYCTL_INVALIDATE},
    {"64 bits, junk beside both", by_syscall, kJunk | SYS_keyctl, kJunk | KEYCTL_INVALIDATE},
};
// Of the third table of system calls, where the kernel has it.
constexpr Call kOfX32 = {"x32", by_syscall, kX32 | SYS_keyctl, KEYCTL_INVALIDATE};

int invalidate(const Call& call, keyring::KeySerial key) {
  return error_of_entry(call.entry(call.number, call.command, static_cast<uint64_t>(key), 0));
}

keyring::KeySerial own_key(const Call& call) {
  return ::add_key("keyring", call.name, nullptr, 0, KEY_SPEC_SESSION_KEYRING);
}

bool invalidates_all() {
  return std::ranges::all_of(kCalls, [](const Call& call) {
    const keyring::KeySerial key = own_key(call);
    char text[64];
    return key > 0 && invalidate(call, key) == 0 && ::keyctl_describe(key, text, 64) < 0;
  });
}

const Control junk_beside_arguments([] { return invalidates_all(); });

// ---- bpf(2) by 32 bits --------------------------------------------------------------------------

long bpf_by_int80(bpf_cmd command, bpf_attr& attr) {
  return by_int80(kBpf32, command, reinterpret_cast<uint64_t>(&attr), sizeof(attr));
}

int load_by_int80(const Load& request) {
  bpf_attr& attr = low_attr();
  attr.prog_type = request.type;
  attr.insns = loader::as_u64(request.insns.data());
  attr.insn_cnt = static_cast<uint32_t>(request.insns.size() / sizeof(bpf_insn));
  attr.license = loader::as_u64("GPL");
  const bpfwarden_signature signature = {.bytes = request.signature.data(),
                                         .size = static_cast<uint32_t>(request.signature.size()),
                                         .keyring = request.keyring,
                                         .flags = 0};
  if (bpfwarden_offer_signature(&signature) == BPFWARDEN_THE_KERNEL) {
    attr.signature = loader::as_u64(signature.bytes);
    attr.signature_size = signature.size;
    attr.keyring_id = signature.keyring;
  }
  const long made = bpf_by_int80(BPF_PROG_LOAD, attr);
  if (made >= 0) ::close(static_cast<int>(made));
  return error_of_entry(made);
}

Load probe() {
  Load request = Load::of_type(BPF_PROG_TYPE_KPROBE, 0);
  request.attach_type = BPF_TRACE_KPROBE_MULTI;
  return request;
}

constexpr const char* kProbeRules = R"(multithreaded-attach = "detect"
[[rules]]
name = "probe"
allow = ["kprobe.multi/tcp_connect"]
signature = "unsigned"
)";

// A child with two threads attaches. Returns how it ended: as waitpid(2) says.
int attach_in_child(const Fd& program, const char* function, bool by_32_bits) {
  const uint64_t names[] = {loader::as_u64(function)};
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    const Companion other;
    bpf_attr& attr = low_attr();
    attr.link_create.prog_fd = static_cast<uint32_t>(program.get());
    attr.link_create.attach_type = BPF_TRACE_KPROBE_MULTI;
    attr.link_create.kprobe_multi.cnt = 1;
    attr.link_create.kprobe_multi.syms = loader::as_u64(names);
    const long link = by_32_bits ? bpf_by_int80(BPF_LINK_CREATE, attr)
                                 : by_syscall(SYS_bpf, BPF_LINK_CREATE,
                                              reinterpret_cast<uint64_t>(&attr), sizeof(attr));
    ::_exit(error_of_entry(link));
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return status;
}

bool goes_through(int status) { return WIFEXITED(status) && WEXITSTATUS(status) == 0; }
bool is_killed(int status) { return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL; }

const Control anywhere_by_32_bits([] {
  return goes_through(attach_in_child(loaded(probe()), "tcp_connect", true)) &&
         goes_through(attach_in_child(loaded(probe()), SYSTEM_CALL("getpgid"), true));
});

// Until the kernel has let go of what was pinned there.
bool is_killed_soon(const Fd& program, bool by_32_bits) {
  for (int tries = 0; tries < 100; tries++) {
    if (is_killed(attach_in_child(program, "tcp_connect", by_32_bits))) return true;
    ::usleep(100'000);
  }
  return false;
}

size_t races(Warden& warden) {
  const auto events = warden.events();
  return static_cast<size_t>(std::ranges::count_if(
      events, [](const auto& event) { return event["cause"] == "attach-race"; }));
}

}  // namespace

TEST_CASE("attack_invalidate_the_sealed_ring_by_other_entries", "[vm][control][attack][keyring]") {
  junk_beside_arguments.must_have_worked();
  Warden warden;
  warden.apply("enforce",
               "[[rules]]\nname = \"team\"\nallow = [\"xdp\"]\nsigned-by = [\"netops\"]\n");
  const keyring::KeySerial ring = warden.ring();
  for (const Call& call : kCalls) {
    INFO(call.name);
    CHECK(invalidate(call, ring) == EPERM);
  }
  const int by_x32 = invalidate(kOfX32, ring);
  CHECK((by_x32 == EPERM || by_x32 == ENOSYS));
  CHECK(invalidates_all());  // what is the caller's own
  CHECK(load(Load{}.signed_by(warden.netops(), ring)).error == 0);
}

// What a thread swapped is seen by a tracing program, and one that the kernel has skipped counts as
// the worst that it could have shown: by whichever entry the call came. Here it is gone.
TEST_CASE("attack_hide_a_swap_behind_a_32_bit_call",
          "[vm][control][kernel][kernel:task_work][kernel:task_work_impl][attack]") {
  if (!kHasInt80) SKIP("no process of 64 bits makes calls of 32");
  anywhere_by_32_bits.must_have_worked();
  Warden warden;
  warden.apply("enforce", kProbeRules);
  const Fd program = loaded(probe());
  for (const bool by_32_bits : {false, true}) {
    if (!awaits_ends()) {
      CHECK(WEXITSTATUS(attach_in_child(program, "tcp_connect", by_32_bits)) == EPERM);
      continue;
    }
    CHECK(goes_through(attach_in_child(program, "tcp_connect", by_32_bits)));
    CHECK(WEXITSTATUS(attach_in_child(program, SYSTEM_CALL("getpgid"), by_32_bits)) == EPERM);
  }
  CHECK(races(warden) == 0);
  if (!awaits_ends()) return;
  REQUIRE(std::filesystem::remove("/sys/fs/bpf/bpfwarden/link_see_link_settle"));
  for (const bool by_32_bits : {true, false}) CHECK(is_killed_soon(program, by_32_bits));
  CHECK(races(warden) == 2);
}

TEST_CASE("deny_a_bad_signature_by_a_32_bit_call_and_tell_of_it",
          "[vm][keyring][kernel][kernel:signature_attr]") {
  if (!kHasInt80) SKIP("no process of 64 bits makes calls of 32");
  Warden warden;
  warden.apply("enforce",
               "[[rules]]\nname = \"team\"\nallow = [\"xdp\"]\nsigned-by = [\"netops\"]\n");
  CHECK(load_by_int80(Load{}.signed_by(warden.netops(), warden.ring())) == 0);
  (void)warden.events();
  CHECK(load_by_int80(Load{}.signed_by(warden.stranger(), warden.ring())) == ENOKEY);
  auto told = warden.events();
  const bool by_kernel = BW_KERNEL_HAS(signature_attr);
  const std::string cause = by_kernel ? "kernel-rejected" : "signature-rejected";
  std::erase_if(told, [&](const auto& event) { return event["cause"] != cause; });
  REQUIRE(told.size() == 1);
  CHECK(told.front()["errno"] == ENOKEY);
  CHECK((told.front()["hook"] == "observed") == by_kernel);
}

}  // namespace bpfwarden::vm
