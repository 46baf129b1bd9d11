// Signatures that travel beside the call, on kernels that have no place for them: what is put there
// by whomever, and a map that somebody else can write while its bytes are those that were signed.
#include <bpf/bpf.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <functional>
#include <memory>
#include <thread>

#include "bpf-lsm/abi/load_signature.h"
#include "loader/btf/kernel_has.h"
#include "loader/bundles/light_skeleton.h"
#include "loader/bundles/signed_load.h"
#include "loader/kernel/syscall.h"
#include "tests/vm/attack/control.h"
#include "tests/vm/attack/int80.h"
#include "tests/vm/helpers/scene.h"

namespace bpfwarden::vm {
namespace {

constexpr const char* kPin = "/sys/fs/bpf/bpfwarden/map_load_signatures";

constexpr const char* kRules = R"(
[[rules]]
name = "network team"
allow = ["xdp"]
signed-by = ["netops"]
[[rules]]
name = "anybody's"
allow = ["socket", "iter/bpf_map_elem"]
signature = "unsigned"
)";

Load returning(int32_t value) {
  Load request;
  request.insns = Load::return_value(value);
  return request;
}

// Into the entry of a thread, as whoever may write the map can.
int put(pid_t thread, const std::vector<uint8_t>& signature, int32_t keyring, uint32_t flags = 0) {
  static const Fd map(bpf_obj_get(kPin));
  const Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, thread, O_EXCL)));
  auto value = std::make_unique<bw_load_signature>();
  value->size = static_cast<uint32_t>(signature.size());
  value->keyring = keyring;
  value->flags = flags;
  std::memcpy(value->bytes, signature.data(), signature.size());
  const int key = pidfd.get();
  return bpf_map_update_elem(map.get(), &key, value.get(), BPF_ANY) == 0 ? 0 : errno;
}

// Without a word of its signature.
int load_bare(const Load& request, const std::function<void(bpf_attr&)>& change = {}) {
  Load bare = request;
  bare.signature.clear();
  bare.change = change;
  return load(bare).error;
}

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

void skip_where_the_kernel_verifies() {
  if (BW_KERNEL_HAS(signature_attr)) SKIP("the kernel has a place for signatures");
}

// ---- Maps ---------------------------------------------------------------------------------------

// A packet filter that could write into the map.
Load user_of(const Fd& map) {
  Load request = Load::packet_filter();
  const bpf_insn insns[] = {{.code = BPF_LD | BPF_IMM | BPF_DW,
                             .dst_reg = BPF_REG_1,
                             .src_reg = BPF_PSEUDO_MAP_FD,
                             .imm = map.get()},
                            {},
                            {.code = BPF_ALU64 | BPF_MOV | BPF_K},
                            {.code = BPF_JMP | BPF_EXIT}};
  request.insns.resize(sizeof(insns));
  std::memcpy(request.insns.data(), insns, sizeof(insns));
  return request;
}

Fd map_of_maps(const Fd& inner) {
  bpf_attr attr = {};
  attr.map_type = BPF_MAP_TYPE_ARRAY_OF_MAPS;
  attr.key_size = attr.value_size = sizeof(uint32_t);
  attr.max_entries = 1;
  attr.inner_map_fd = static_cast<uint32_t>(inner.get());
  Fd made(loader::sys_bpf(BPF_MAP_CREATE, attr));
  REQUIRE(made);
  return made;
}

Fd plain_map(size_t size) {
  Fd map(bpf_map_create(BPF_MAP_TYPE_ARRAY, "plain", sizeof(uint32_t), static_cast<uint32_t>(size),
                        1, nullptr));
  REQUIRE(map);
  return map;
}

bool binds_a_frozen_map() {
  const Skeleton skeleton = {.bundle = sign_object("xdp_pass", Signer("anybody"))};
  const Attempt map = skeleton.create_map();
  return map.error == 0 && load(user_of(map.fd)).error == 0 &&
         load(user_of(map_of_maps(map.fd))).error == 0;
}
const Control bound_maps([] { return BW_KERNEL_HAS(exclusive_maps) || binds_a_frozen_map(); });

}  // namespace

TEST_CASE("attack_load_another_program_by_a_signature_beside_it",
          "[vm][attack][keyring][control][kernel][kernel:signature_attr]") {
  skip_where_the_kernel_verifies();
  unsigned_loads.must_have_worked();
  Warden warden;
  warden.apply("enforce", kRules);
  const pid_t me = ::gettid();
  const Load good = returning(2), bad = returning(1);
  const auto signature = warden.netops().sign(good.insns);
  REQUIRE(put(me, signature, warden.ring()) == 0);
  CHECK(load_bare(good) == 0);
  REQUIRE(put(me, signature, warden.ring()) == 0);
  CHECK(load_bare(bad) == EKEYREJECTED);
  CHECK(load_bare(bad) == EPERM);  // it was for one load
  // Left over by a load that came to nothing before any hook.
  REQUIRE(put(me, signature, warden.ring()) == 0);
  CHECK(load_bare(good, [](bpf_attr& attr) { attr.insn_cnt = 0; }) == E2BIG);
  CHECK(load_bare(bad) == EKEYREJECTED);
  CHECK(load_bare(good) == EPERM);
  // Over the instructions and something else, said to be over them alone, and the other way round.
  REQUIRE(put(me, signature, warden.ring(), BW_COVERS_MAP) == 0);
  CHECK(load_bare(good) == EINVAL);
  // No size, and one that is too large.
  REQUIRE(put(me, {}, warden.ring()) == 0);
  CHECK(load_bare(good) == E2BIG);
  constexpr int not_supported = -524;  // ENOTSUPP of the kernel
  CHECK(bpf_map_freeze(Fd(bpf_obj_get(kPin)).get()) == not_supported);
  REQUIRE(put(me, signature, warden.ring()) == 0);
  CHECK(load_bare(good) == 0);
}

// One that changes while it is looked at: the kernel points into it as it verifies.
TEST_CASE("attack_change_a_signature_while_it_is_verified",
          "[vm][attack][keyring][control][kernel][kernel:signature_attr]") {
  skip_where_the_kernel_verifies();
  unsigned_loads.must_have_worked();
  Warden warden;
  warden.apply("enforce", kRules);
  const Load good = returning(2), bad = returning(1);
  const auto trusted = warden.netops().sign(good.insns),
             foreign = warden.stranger().sign(bad.insns);
  const pid_t victim = ::gettid();
  const pid_t other = ::fork();  // another process
  REQUIRE(other >= 0);
  if (other == 0) {
    for (;;) {
      (void)put(victim, trusted, warden.ring());
      (void)put(victim, foreign, warden.ring());
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
  REQUIRE(put(victim, trusted, warden.ring()) == 0);
  CHECK(load_bare(good) == 0);
}

TEST_CASE("attack_write_the_map_that_a_signature_covers",
          "[vm][attack][loader][control][kernel][kernel:signature_attr][kernel:exclusive_maps]") {
  skip_where_the_kernel_verifies();
  bound_maps.must_have_worked();
  Warden warden;
  warden.apply("enforce", kRules);
  const Skeleton skeleton = {.bundle = sign_object("xdp_pass", warden.netops())};
  const auto load_with = [&](const Fd& map) { return skeleton.load_loader(map, warden.ring()); };

  {  // a program has it already
    const Attempt map = skeleton.create_map();
    {
      const Attempt user = load(user_of(map.fd));
      REQUIRE(user.error == 0);
      CHECK(load_with(map.fd).error == EBUSY);
    }
    int error = EBUSY;  // until the kernel has freed the program
    for (int tries = 0; tries < 200 && error == EBUSY; tries++) {
      error = load_with(map.fd).error;
      if (error == EBUSY) ::usleep(10'000);
    }
    CHECK(error == 0);
  }
  {  // a program gets it afterwards, itself or in a map of maps; the second half is the twin
    const Attempt map = skeleton.create_map();
    const Fd outer = map_of_maps(map.fd);
    const Attempt program = load_with(map.fd);
    REQUIRE(program.error == 0);
    CHECK(load(user_of(map.fd)).error == EPERM);
    CHECK(load(user_of(outer)).error == EPERM);
    const Fd plain = plain_map(skeleton.bundle.metadata.size());
    CHECK(load(user_of(plain)).error == 0);
    CHECK(load(user_of(map_of_maps(plain))).error == 0);
    CHECK(load_with(map.fd).error == EPERM);  // it was another load's
    CHECK(skeleton.run(program.fd) == 0);
  }
  {  // somebody else has a descriptor of it
    const Attempt map = skeleton.create_map();
    bpf_map_info info = {};
    uint32_t size = sizeof(info);
    REQUIRE(bpf_map_get_info_by_fd(map.fd.get(), &info, &size) == 0);
    Fd second(bpf_map_get_fd_by_id(info.id));
    REQUIRE(second);
    CHECK(load_with(map.fd).error == EBUSY);
    second.reset();
    CHECK(load_with(map.fd).error == 0);
  }
  {  // another map than the one whose bytes were verified
    const Attempt other = skeleton.create_map(), map = skeleton.create_map();
    CHECK(load_with(other.fd).error == EPERM);
    const Attempt again = skeleton.create_map();
    CHECK(load_with(again.fd).error == 0);
  }
  {  // not frozen
    bpf_attr attr = {};
    attr.map_type = BPF_MAP_TYPE_ARRAY;
    attr.key_size = sizeof(uint32_t);
    attr.value_size = static_cast<uint32_t>(skeleton.bundle.metadata.size());
    attr.max_entries = 1;
    loader::make_exclusive(attr, nullptr, 0);
    const Fd open(loader::sys_bpf(BPF_MAP_CREATE, attr));
    REQUIRE(open);
    const uint32_t key = 0;
    REQUIRE(bpf_map_update_elem(open.get(), &key, skeleton.bundle.metadata.data(), BPF_ANY) == 0);
    CHECK(load_with(open).error == EPERM);
    REQUIRE(bpf_map_freeze(open.get()) == 0);
    CHECK(load_with(open).error == 0);
  }
  {  // one that can be mapped into memory, or of another task
    Skeleton mapped = skeleton;
    mapped.map_flags = BPF_F_MMAPABLE;
    const Attempt map = mapped.create_map();
    REQUIRE(map.error == 0);
    CHECK(load_with(map.fd).error != 0);
    const Attempt own = skeleton.create_map();
    int error = 0;
    std::thread([&] { error = load_with(own.fd).error; }).join();
    CHECK(error == EINVAL);
    CHECK(load_with(own.fd).error == 0);
  }
  {  // not covered at all
    Skeleton bare = skeleton;
    bare.bundle.signature = warden.netops().sign(bare.bundle.insns);
    const Attempt map = bare.create_map();
    const int fd = map.fd.get();
    Load request = {.type = BPF_PROG_TYPE_SYSCALL, .insns = bare.bundle.insns};
    request.signature = bare.bundle.signature;
    request.keyring = warden.ring();
    request.change = [&](bpf_attr& attr) {
      attr.fd_array = loader::as_u64(&fd);
      attr.prog_flags = BPF_F_SLEEPABLE;
    };
    CHECK(load(request).error == EPERM);
  }
}

// A claim that is left over: the next program is likely to lie where the one was that it was for.
TEST_CASE("attack_use_a_map_that_a_program_before_has_claimed",
          "[vm][attack][loader][control][kernel][kernel:signature_attr][kernel:exclusive_maps]") {
  skip_where_the_kernel_verifies();
  bound_maps.must_have_worked();
  Warden warden;
  warden.apply("enforce", kRules);
  const Skeleton good = {.bundle = sign_object("xdp_pass", warden.netops())};
  Skeleton evil = good;
  evil.bundle.metadata.back() ^= 1;
  int admitted = 0;
  for (int round = 0; round < 60; round++) {
    const Attempt left_over = evil.create_map();
    CHECK(evil.load_loader(left_over.fd, warden.ring()).error == EKEYREJECTED);
    ::usleep(20'000);  // until the kernel has freed it
    const Attempt covered = good.create_map();
    if (good.load_loader(left_over.fd, warden.ring()).error == 0) admitted++;
  }
  CHECK(admitted == 0);
  const Attempt map = good.create_map();
  CHECK(good.load_loader(map.fd, warden.ring()).error == 0);
}

// A mark of a loader's run that is left over, or a call that looks like the kernel's: what a user
// loads is never a loader's child.
TEST_CASE("attack_pass_for_the_child_of_a_loader_where_hooks_do_not_say_who_calls",
          "[vm][attack][loader][control][kernel][kernel:signature_attr]") {
  skip_where_the_kernel_verifies();
  unsigned_loads.must_have_worked();
  Warden warden;
  warden.apply("enforce", kRules);
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
  CHECK(run_then([] { return load_by_int80(returning(1)); }) == EPERM);
  const auto signature = warden.netops().sign(returning(2).insns);
  REQUIRE(put(::gettid(), signature, warden.ring()) == 0);  // the right ones still load
  CHECK(load_by_int80(returning(2)) == 0);
  CHECK(load_bare(returning(2)) == EPERM);
}

}  // namespace bpfwarden::vm
