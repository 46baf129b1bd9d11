// Maps that a signature covers which bpfwarden verifies: who else could write one while its bytes
// are those that were signed.
#include <bpf/bpf.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <cstring>
#include <thread>

#include "loader/btf/kernel_has.h"
#include "loader/bundles/signed_load.h"
#include "loader/kernel/syscall.h"
#include "tests/vm/attack/beside.h"
#include "tests/vm/attack/control.h"

namespace bpfwarden::vm {
namespace {

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

Fd make_map_of_maps(const Fd& inner) {
  bpf_attr attr = {};
  attr.map_type = BPF_MAP_TYPE_ARRAY_OF_MAPS;
  attr.key_size = attr.value_size = sizeof(uint32_t);
  attr.max_entries = 1;
  attr.inner_map_fd = static_cast<uint32_t>(inner.get());
  return Fd(loader::sys_bpf(BPF_MAP_CREATE, attr));
}

Fd map_of_maps(const Fd& inner) {
  Fd made = make_map_of_maps(inner);
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
  const Skeleton skeleton = {.bundle = sign_object("xdp_pass", Signer("anybody")),
                             .is_exclusive = false};
  const Attempt map = skeleton.create_map();
  return map.error == 0 && load(user_of(map.fd)).error == 0 &&
         load(user_of(map_of_maps(map.fd))).error == 0;
}
const Control bound_maps([] { return BW_KERNEL_HAS(folded_maps) || binds_a_frozen_map(); });

}  // namespace

TEST_CASE("attack_write_the_map_that_a_signature_covers",
          "[vm][attack][loader][control][kernel][kernel:signature_attr][kernel:folded_maps][kernel:"
          "exclusive_maps]") {
  skip_where_the_kernel_verifies_all();
  bound_maps.must_have_worked();
  Warden warden;
  warden.apply("enforce", kBesideRules);
  const Skeleton skeleton = {.bundle = sign_object("xdp_pass", warden.netops()),
                             .is_exclusive = false};
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
    const Attempt map = skeleton.create_map();
    const int fd = map.fd.get();
    const Load request = {.type = BPF_PROG_TYPE_SYSCALL, .insns = skeleton.bundle.insns};
    REQUIRE(put_beside(::gettid(), warden.netops().sign(request.insns), warden.ring()) == 0);
    CHECK(load_bare(request, [&](bpf_attr& attr) {
            attr.fd_array = loader::as_u64(&fd);
            attr.prog_flags = BPF_F_SLEEPABLE;
          }) == EPERM);
  }
}

// A claim that is left over: the next program is likely to lie where the one was that it was for.
TEST_CASE("attack_use_a_map_that_a_program_before_has_claimed",
          "[vm][attack][loader][control][kernel][kernel:signature_attr][kernel:folded_maps][kernel:"
          "exclusive_maps]") {
  skip_where_the_kernel_verifies_all();
  bound_maps.must_have_worked();
  Warden warden;
  warden.apply("enforce", kBesideRules);
  const Skeleton good = {.bundle = sign_object("xdp_pass", warden.netops()), .is_exclusive = false};
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

// In 6.18 a map for one program alone can be had by all others in a map of maps.
TEST_CASE("attack_reach_an_exclusive_map_within_a_map_of_maps",
          "[vm][attack][loader][control][kernel][kernel:signature_attr][kernel:folded_maps]["
          "kernel:exclusive_maps]") {
  skip_where_the_kernel_verifies_all();
  bound_maps.must_have_worked();
  Warden warden;
  warden.apply("enforce", kBesideRules);
  const Skeleton skeleton = {.bundle = sign_object("xdp_pass", warden.netops())};
  const Attempt map = skeleton.create_map();
  const Fd template_map = plain_map(skeleton.bundle.metadata.size());
  const Fd outer(make_map_of_maps(map.fd)), plain_outer = map_of_maps(template_map);
  const uint32_t key = 0;
  const int inner = map.fd.get();
  CHECK(bpf_map_update_elem(plain_outer.get(), &key, &inner, BPF_ANY) != 0);  // another shape
  const Attempt program = skeleton.load_loader(map.fd, warden.ring());
  REQUIRE(program.error == 0);
  CHECK(load(user_of(map.fd)).error != 0);
  if (outer) CHECK(load(user_of(outer)).error == EPERM);
  CHECK(load(user_of(plain_outer)).error == 0);
  CHECK(skeleton.run(program.fd) == 0);
}

}  // namespace bpfwarden::vm
