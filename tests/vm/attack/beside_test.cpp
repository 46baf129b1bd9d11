// Signatures that travel beside the call: what is put there by whomever, and who calls.
#include <bpf/bpf.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <csignal>
#include <filesystem>

#include "loader/btf/kernel_has.h"
#include "loader/kernel/syscall.h"
#include "tests/vm/attack/beside.h"
#include "tests/vm/attack/control.h"
#include "tests/vm/machine/entries.h"

namespace bpfwarden::vm {
namespace {

int load_by_int80(const Load& request) {
  constexpr uint64_t bpf_32 = 357;
  bpf_attr& attr = low_attr();
  attr.prog_type = request.type;
  attr.insns = loader::as_u64(request.insns.data());
  attr.insn_cnt = static_cast<uint32_t>(request.insns.size() / sizeof(bpf_insn));
  attr.license = loader::as_u64("GPL");
  const long made = by_int80(bpf_32, BPF_PROG_LOAD, loader::as_u64(&attr), sizeof(attr));
  if (made >= 0) ::close(static_cast<int>(made));
  return made < 0 ? static_cast<int>(-made) : 0;
}

bool loads_unsigned() { return load_bare(returning(1)) == 0; }
const Control unsigned_loads(loads_unsigned);

}  // namespace

TEST_CASE("attack_load_another_program_by_a_signature_beside_it",
          "[vm][attack][keyring][control][kernel][kernel:signature_attr][kernel:folded_maps]") {
  skip_where_the_kernel_verifies_all();
  unsigned_loads.must_have_worked();
  Warden warden;
  warden.apply("enforce", kBesideRules);
  const pid_t me = ::gettid();
  const Load good = returning(2), bad = returning(1);
  const auto signature = warden.netops().sign(good.insns);
  REQUIRE(put_beside(me, signature, warden.ring()) == 0);
  CHECK(load_bare(good) == 0);
  REQUIRE(put_beside(me, signature, warden.ring()) == 0);
  CHECK(load_bare(bad) == EKEYREJECTED);
  CHECK(load_bare(bad) == EPERM);  // it was for one load
  // Left over by a load that came to nothing before any hook.
  REQUIRE(put_beside(me, signature, warden.ring()) == 0);
  CHECK(load_bare(good, [](bpf_attr& attr) { attr.insn_cnt = 0; }) == E2BIG);
  CHECK(load_bare(bad) == EKEYREJECTED);
  CHECK(load_bare(good) == EPERM);
  // Over the instructions and something else, said to be over them alone, and the other way round.
  REQUIRE(put_beside(me, signature, warden.ring(), BW_COVERS_MAP) == 0);
  CHECK(load_bare(good) == EINVAL);
  // No size, and one that is too large.
  REQUIRE(put_beside(me, {}, warden.ring()) == 0);
  CHECK(load_bare(good) == E2BIG);
  constexpr int not_supported = -524;  // ENOTSUPP of the kernel
  CHECK(bpf_map_freeze(Fd(bpf_obj_get(kBesidePin)).get()) == not_supported);
  REQUIRE(put_beside(me, signature, warden.ring()) == 0);
  CHECK(load_bare(good) == 0);
}

// One that changes while it is looked at: the kernel points into it as it verifies.
TEST_CASE("attack_change_a_signature_while_it_is_verified",
          "[vm][attack][keyring][control][kernel][kernel:signature_attr][kernel:folded_maps]") {
  skip_where_the_kernel_verifies_all();
  unsigned_loads.must_have_worked();
  Warden warden;
  warden.apply("enforce", kBesideRules);
  const Load good = returning(2), bad = returning(1);
  const auto trusted = warden.netops().sign(good.insns),
             foreign = warden.stranger().sign(bad.insns);
  const pid_t victim = ::gettid();
  const pid_t other = ::fork();  // another process
  REQUIRE(other >= 0);
  if (other == 0) {
    for (;;) {
      (void)put_beside(victim, trusted, warden.ring());
      (void)put_beside(victim, foreign, warden.ring());
    }
  }
  int admitted = 0;
  for (int i = 0; i < 1500; i++) {
    if (load_bare(bad) == 0) admitted++;
    (void)load_bare(good);
  }
  REQUIRE(::kill(other, SIGKILL) == 0);
  REQUIRE(::waitpid(other, nullptr, 0) == other);
  CHECK(admitted == 0);
  (void)load_bare(bad);  // what is left over
  REQUIRE(put_beside(victim, trusted, warden.ring()) == 0);
  CHECK(load_bare(good) == 0);
}

// From 6.18 to 7.2: the kernel's own verdict stands, whatever lies beside the load.
TEST_CASE("attack_put_a_signature_beside_a_load_that_the_kernel_verifies",
          "[vm][attack][keyring][control][kernel][kernel:signature_attr][kernel:folded_maps]") {
  skip_where_the_kernel_verifies_all();
  if (!BW_KERNEL_HAS(signature_attr)) SKIP("this kernel verifies nothing");
  unsigned_loads.must_have_worked();
  Warden warden;
  warden.apply("enforce", kBesideRules);
  const pid_t me = ::gettid();
  Load good = returning(2);
  const Load bad = returning(1);
  good.signed_by(warden.netops(), warden.ring());
  const auto foreign = warden.stranger().sign(good.insns);
  REQUIRE(put_beside(me, foreign, warden.ring()) == 0);
  CHECK(load(good).error == 0);
  CHECK(load_bare(bad) == EPERM);  // it is gone, or this were ENOKEY
  REQUIRE(put_beside(me, foreign, warden.stranger().ring) == 0);
  CHECK(load(good).error == 0);
  CHECK(load_bare(good) == EPERM);
  for (const auto& event : warden.events())
    if (event["decision"] == "allow") {
      CHECK(event["verified_by"] == "kernel");
      CHECK(event["signer"] == "netops");
    }
  // One that covers a map, beside one that covers none, where the map is asked for.
  const std::string rules =
      "[[rules]]\nname = \"one\"\nallow = [\"xdp\"]\nsigned-by = [\"netops\"]\n"
      "signature = \"prog-used-maps\"\n";
  warden.apply("enforce", rules);
  const Skeleton skeleton = {.bundle = sign_object("xdp_pass", warden.netops()),
                             .is_exclusive = false};
  Load loader = {.type = BPF_PROG_TYPE_SYSCALL, .insns = skeleton.bundle.insns};
  loader.signed_by(warden.netops(), warden.ring());
  const Attempt map = skeleton.create_map();
  const int fd = map.fd.get();
  loader.change = [&](bpf_attr& attr) {
    attr.fd_array = loader::as_u64(&fd);
    attr.prog_flags = BPF_F_SLEEPABLE;
  };
  REQUIRE(put_beside(me, skeleton.bundle.signature, warden.ring(), BW_COVERS_MAP) == 0);
  CHECK(load(loader).error == EPERM);
  REQUIRE(put_beside(me, skeleton.bundle.signature, warden.ring(), BW_COVERS_MAP) == 0);
  CHECK(load_bare(loader, loader.change) == 0);  // and by itself it does
}

// A mark of a loader's run that is left over, or a call that looks like the kernel's: what a user
// loads is never a loader's child.
TEST_CASE("attack_pass_for_the_child_of_a_loader_where_hooks_do_not_say_who_calls",
          "[vm][attack][loader][control][kernel][kernel:signature_attr][kernel:folded_maps]") {
  skip_where_the_kernel_verifies_all();
  unsigned_loads.must_have_worked();
  Warden warden;
  warden.apply("enforce", kBesideRules);
  const Skeleton skeleton = {.bundle = sign_object("xdp_pass", warden.netops())};
  // The end of its run is not seen: the mark stays.
  REQUIRE(std::filesystem::remove("/sys/fs/bpf/bpfwarden/link_note_loader_end"));
  ::sleep(1);
  const auto run_then = [&](auto attack) {
    const Attempt map = skeleton.create_map();
    const Attempt program = skeleton.load_loader(map.fd, warden.ring());
    REQUIRE(program.error == 0);
    CHECK(skeleton.run(program.fd) == 0);
    return attack();
  };
  CHECK(run_then([] { return load_bare(returning(1)); }) == EPERM);
  if (kHasInt80) CHECK(run_then([] { return load_by_int80(returning(1)); }) == EPERM);
  const auto signature = warden.netops().sign(returning(2).insns);
  REQUIRE(put_beside(::gettid(), signature, warden.ring()) == 0);  // the right ones still load
  CHECK((kHasInt80 ? load_by_int80(returning(2)) : load_bare(returning(2))) == 0);
  CHECK(load_bare(returning(2)) == EPERM);
}

}  // namespace bpfwarden::vm
