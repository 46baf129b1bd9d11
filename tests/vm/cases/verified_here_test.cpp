// Signed once, for every kernel: whoever verifies, the same is admitted and the same refused, each
// with its errno.
#include <bpf/bpf.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "base/fd.h"
#include "bpf-lsm/abi/load_signature.h"
#include "library/bpfwarden/load.h"
#include "loader/btf/kernel_has.h"
#include "loader/bundles/run_bundle.h"
#include "loader/bundles/signed_load.h"
#include "tests/vm/helpers/scene.h"

namespace bpfwarden::vm {
namespace {

constexpr const char* kRules = R"(
[[rules]]
name = "network team"
allow = ["xdp"]
signed-by = ["netops"]
)";

// One policy for all kernels.
constexpr const char* kAsksForMaps = R"(
[[rules]]
name = "network team"
allow = ["xdp"]
signed-by = ["netops"]
signature = "prog-used-maps"
)";

// From 6.18 to 7.2 the kernel verifies what covers no map.
std::string verifier_of(const nlohmann::json& event) {
  if (BW_KERNEL_HAS(folded_maps)) return "kernel";
  return BW_KERNEL_HAS(signature_attr) && event["signature"] == "prog-only" ? "kernel"
                                                                            : "bpfwarden";
}

std::vector<uint8_t> of_length(size_t count) {
  const bpf_insn first = {
      .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 2};
  const bpf_insn last = {
      .code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0};
  std::vector<bpf_insn> insns(count, first);
  insns.back() = last;
  std::vector<uint8_t> bytes(count * sizeof(bpf_insn));
  std::memcpy(bytes.data(), insns.data(), bytes.size());
  return bytes;
}

Load signed_of_length(const Warden& warden, size_t count) {
  Load request;
  request.insns = of_length(count);
  return request.signed_by(warden.netops(), warden.ring());
}

// Who has the places where signatures are verified, as the kernel part notes it: verify_owners of
// bpf-lsm/verify/slots.bpf.h.
using Owners = std::array<uint64_t, BW_VERIFY_SLOTS>;

class Slots {
 public:
  Slots() { REQUIRE(map_); }
  [[nodiscard]] Owners owners() const {
    Owners owners = {};
    REQUIRE(bpf_map_lookup_elem(map_.get(), &kOnly, owners.data()) == 0);
    return owners;
  }
  void give_all_to(uint64_t owner) const {
    Owners owners;
    owners.fill(owner);
    REQUIRE(bpf_map_update_elem(map_.get(), &kOnly, owners.data(), BPF_ANY) == 0);
  }
  [[nodiscard]] bool has(uint64_t owner) const {
    const Owners all = owners();
    return std::ranges::find(all, owner) != all.end();
  }
  // The mark of the process, once it is in the middle of a load.
  [[nodiscard]] uint64_t mark_of(pid_t process) const {
    for (;;)
      for (const uint64_t owner : owners())
        if (owner >> 32 == static_cast<uint64_t>(process)) return owner;
  }

 private:
  static constexpr uint32_t kOnly = 0;
  const Fd map_{bpf_obj_get("/sys/fs/bpf/bpfwarden/map_verify_owners")};
};

// A process that loads again and again, until it is killed.
pid_t begin_loading(const Load& request) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  while (child == 0) (void)load(request);
  return child;
}

// Stopped, it is out of the system call, and has given back what it had.
void stop(pid_t process) {
  REQUIRE(::kill(process, SIGSTOP) == 0);
  REQUIRE(::waitpid(process, nullptr, WUNTRACED) == process);
}

// It stays a zombie until collect().
void kill(pid_t process) {
  siginfo_t ended = {};
  REQUIRE(::kill(process, SIGKILL) == 0);
  REQUIRE(::waitid(P_PID, static_cast<id_t>(process), &ended, WEXITED | WNOWAIT) == 0);
}

void collect(pid_t process) { REQUIRE(::waitpid(process, nullptr, 0) == process); }

void skip_where_the_kernel_verifies_by_itself() {
  if (BW_KERNEL_HAS(signature_attr))
    SKIP("nothing of bpfwarden's can be taken: the kernel verifies");
}

// Until there is room for it.
int load_again(const Load& request) {
  for (int tries = 0; tries < 2000; tries++) {
    const int error = load(request).error;
    if (error != EAGAIN) return error;
    ::usleep(5000);
  }
  return EAGAIN;
}

}  // namespace

TEST_CASE("allow_what_is_signed_and_deny_each_change_with_its_errno",
          "[vm][loader][keyring][kernel][signing][kernel:signature_attr][kernel:folded_maps]") {
  Warden warden;
  warden.apply("enforce", kAsksForMaps);
  const keyring::Bundle good = sign_object("xdp_pass", warden.netops());
  const auto changed = [&](auto change) {
    keyring::Bundle bundle = good;
    change(bundle);
    return load_bundle(bundle, warden.ring());
  };
  CHECK(load_bundle(good, warden.ring()) == 0);
  CHECK(changed([](auto& bundle) { bundle.insns[4] ^= 1; }) == EKEYREJECTED);
  CHECK(changed([](auto& bundle) { bundle.insns.back() ^= 1; }) == EKEYREJECTED);
  CHECK(changed([](auto& bundle) { bundle.metadata.front() ^= 1; }) == EKEYREJECTED);
  CHECK(changed([](auto& bundle) { bundle.metadata.back() ^= 1; }) == EKEYREJECTED);
  CHECK(changed([](auto& bundle) { bundle.metadata.push_back(0); }) == EKEYREJECTED);
  CHECK(changed([](auto& bundle) { bundle.signature.resize(40); }) == EBADMSG);
  const keyring::Bundle foreign = sign_object("xdp_pass", warden.stranger());
  CHECK(load_bundle(foreign, warden.ring()) == ENOKEY);          // the ring has no such key
  CHECK(load_bundle(foreign, warden.stranger().ring) == EPERM);  // this one has; no rule names it
  CHECK(load(Load{}).error == EPERM);                            // no signature
  CHECK(load(Load{}.signed_by(warden.netops(), warden.ring())).error == EPERM);  // covers no map
  CHECK(load_bundle(good, warden.ring()) == 0);
  size_t told = 0;
  for (const auto& event : warden.events()) {
    if (event["verified_by"].is_null()) continue;
    INFO(event.dump());
    CHECK(event["verified_by"] == verifier_of(event));
    if (event["decision"] == "allow") CHECK(event["signature"] == "prog-used-maps");
    told++;
  }
  CHECK(told >= 8);
}

// CO-RE relocations and their like change what was verified, and no signature covers them.
TEST_CASE("deny_unsigned_parts_beside_a_signature_of_any_kernel",
          "[vm][keyring][kernel][signing][kernel:signature_attr]") {
  Warden warden;
  warden.apply("enforce", kRules);
  Load request = Load{}.signed_by(warden.netops(), warden.ring());
  CHECK(load(request).error == 0);
  request.change = [](bpf_attr& attr) { attr.func_info_cnt = 1; };
  CHECK(load(request).error == EPERM);
  request.change = [](bpf_attr& attr) { attr.line_info_cnt = 1; };
  CHECK(load(request).error == EPERM);
}

TEST_CASE("allow_long_programs_and_deny_them_changed_by_a_bit",
          "[vm][keyring][kernel][signing][kernel:signature_attr][slow]") {
  Warden warden;
  warden.apply("enforce", kRules);
  for (const size_t count : {size_t{2}, size_t{100'000}, size_t{1'000'000}}) {
    INFO(count);
    Load request = signed_of_length(warden, count);
    CHECK(load(request).error == 0);
    request.insns[request.insns.size() / 2 / 8 * 8 + 4] ^= 4;
    CHECK(load(request).error == EKEYREJECTED);
  }
}

TEST_CASE("allow_eight_loaders_at_once", "[vm][keyring][kernel][signing][kernel:signature_attr]") {
  Warden warden;
  warden.apply("enforce", kRules);
  const Load request = signed_of_length(warden, 20'000);
  std::vector<pid_t> loaders;
  for (int i = 0; i < 8; i++) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      int error = 0;
      for (int round = 0; round < 5 && error == 0; round++) error = load_again(request);
      ::_exit(error);
    }
    loaders.push_back(child);
  }
  for (const pid_t loader : loaders) {
    int status = 0;
    REQUIRE(::waitpid(loader, &status, 0) == loader);
    REQUIRE(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
  }
}

TEST_CASE("deny_a_policy_with_digests_where_the_kernel_keeps_none",
          "[vm][keyring][kernel][kernel:program_digest]") {
  if (BW_KERNEL_HAS(program_digest)) SKIP("this kernel keeps digests");
  Warden warden;
  warden.apply("enforce", kRules);
  const std::string digest = "[\"sha256:" + std::string(64, '0') + "\"]\n";
  const std::string rule =
      "[[rules]]\nname = \"one\"\nallow = [\"xdp\"]\nsignature = \"unsigned\"\ndigests = " + digest;
  const Ran by_rule = warden.try_apply("enforce", rule, warden.raise_version());
  INFO(by_rule.output);
  CHECK(by_rule.status == 1);
  CHECK(says(by_rule, "error: rule `one` matches nothing here: it names digests"));
  const Ran denied =
      warden.try_apply("enforce", "deny-digests = " + digest + kRules, warden.raise_version());
  INFO(denied.output);
  CHECK(denied.status == 1);
  CHECK(says(denied, "error: `deny-digests` denies nothing here"));
  warden.apply("enforce", kRules);
}

// Whoever is killed while its load is verified leaves no slot taken.
TEST_CASE("allow_loads_after_loaders_were_killed",
          "[vm][keyring][kernel][signing][kernel:signature_attr][slow]") {
  Warden warden;
  warden.apply("enforce", kRules);
  const Load request = signed_of_length(warden, 500'000);
  for (int round = 0; round < 24; round++) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      for (;;) (void)load(request);
    }
    ::usleep(static_cast<useconds_t>(10'000 + 7'000 * round));
    REQUIRE(::kill(child, SIGKILL) == 0);
    REQUIRE(::waitpid(child, nullptr, 0) == child);
  }
  for (int i = 0; i < 4; i++)
    CHECK(load(Load{}.signed_by(warden.netops(), warden.ring())).error == 0);
}

TEST_CASE("deny_while_all_slots_are_taken_and_allow_once_one_is_given_back",
          "[vm][keyring][kernel][kernel:signature_attr]") {
  skip_where_the_kernel_verifies_by_itself();
  Warden warden;
  warden.apply("enforce", kRules);
  const Load request = Load{}.signed_by(warden.netops(), warden.ring());
  CHECK(load(request).error == 0);
  const Slots slots;
  const pid_t owner = begin_loading(signed_of_length(warden, 500'000));
  const uint64_t mark = slots.mark_of(owner);
  stop(owner);
  CHECK_FALSE(slots.has(mark));
  CHECK(load(request).error == 0);  // it lives, and has none

  slots.give_all_to(mark);
  (void)warden.events();
  CHECK(load(request).error == EAGAIN);
  auto told = warden.events();
  std::erase_if(told, [](const auto& event) { return event["cause"] != "signature-rejected"; });
  REQUIRE(told.size() == 1);
  CHECK(told.front()["errno"] == EAGAIN);
  CHECK(told.front()["refused"] == true);
  CHECK(load(request).error == EAGAIN);
  CHECK(load(Load{}).error == EPERM);  // what has no signature takes no slot
  CHECK(slots.owners() == Owners{mark, mark});

  slots.give_all_to(0);
  CHECK(load(request).error == 0);
  CHECK(slots.owners() == Owners{});
  kill(owner);
  collect(owner);
}

TEST_CASE("allow_loads_once_the_owners_of_all_slots_are_dead",
          "[vm][keyring][kernel][kernel:signature_attr]") {
  skip_where_the_kernel_verifies_by_itself();
  Warden warden;
  warden.apply("enforce", kRules);
  const Load request = Load{}.signed_by(warden.netops(), warden.ring());
  const Slots slots;
  // Killed in the middle of a load, it gives back what it has.
  const pid_t killed = begin_loading(signed_of_length(warden, 500'000));
  const uint64_t its_mark = slots.mark_of(killed);
  kill(killed);
  CHECK_FALSE(slots.has(its_mark));
  collect(killed);
  CHECK(load(request).error == 0);

  // Should one be dead and have them all the same, they are the next one's.
  const pid_t owner = begin_loading(signed_of_length(warden, 500'000));
  const uint64_t mark = slots.mark_of(owner);
  stop(owner);
  slots.give_all_to(mark);
  CHECK(load(request).error == EAGAIN);  // it lives
  slots.give_all_to(mark ^ 1);           // somebody who had its number before
  CHECK(load(request).error == 0);
  slots.give_all_to(mark);
  CHECK(load(request).error == EAGAIN);
  kill(owner);
  CHECK(load(request).error == 0);  // not buried yet
  slots.give_all_to(mark);
  collect(owner);
  CHECK(load(request).error == 0);
  slots.give_all_to(0);
  CHECK(load(request).error == 0);
}

TEST_CASE("deny_what_was_offered_and_allow_what_comes_after_it_is_withdrawn",
          "[vm][keyring][kernel][kernel:signature_attr][kernel:folded_maps]") {
  Warden warden;
  warden.apply("enforce", kRules);
  const Load good = Load{}.signed_by(warden.netops(), warden.ring());
  const bpfwarden_signature offered = {.bytes = good.signature.data(),
                                       .size = static_cast<uint32_t>(good.signature.size()),
                                       .keyring = good.keyring,
                                       .flags = 0};
  bpfwarden_signature wrong = offered;
  for (const uint32_t size : {0U, BW_LOAD_SIGNATURE_SIZE + 1U}) {
    wrong.size = size;
    CHECK(bpfwarden_offer_signature(&wrong) == -1);
    CHECK(errno == (size == 0 ? EINVAL : E2BIG));
  }
  if (BW_KERNEL_HAS(signature_attr)) {
    CHECK(bpfwarden_offer_signature(&offered) == BPFWARDEN_THE_KERNEL);
    CHECK(bpfwarden_withdraw_signature() == 0);
    bpfwarden_signature covering = offered;
    covering.flags = BPFWARDEN_COVERS_MAP;
    const int verifier = BW_KERNEL_HAS(folded_maps) ? BPFWARDEN_THE_KERNEL : BPFWARDEN_BPFWARDEN;
    CHECK(bpfwarden_verifier(0) == BPFWARDEN_THE_KERNEL);
    CHECK(bpfwarden_verifier(BPFWARDEN_COVERS_MAP) == verifier);
    CHECK(bpfwarden_offer_signature(&covering) == verifier);
    CHECK(bpfwarden_withdraw_signature() == 0);
    CHECK(load(Load{}).error == EPERM);  // it has none
    return;
  }
  const Load other = Load{.insns = Load::return_value(1)};
  CHECK(bpfwarden_offer_signature(&offered) == BPFWARDEN_BPFWARDEN);
  CHECK(load(other).error == EKEYREJECTED);
  CHECK(load(other).error == EPERM);  // it was used up
  CHECK(bpfwarden_offer_signature(&offered) == BPFWARDEN_BPFWARDEN);
  CHECK(load(Load{}).error == 0);
  CHECK(bpfwarden_offer_signature(&offered) == BPFWARDEN_BPFWARDEN);
  CHECK(bpfwarden_withdraw_signature() == 0);
  CHECK(load(other).error == EPERM);
  CHECK(bpfwarden_withdraw_signature() == 0);  // there is none
  // A call that fails before anybody looks at its signature leaves none to the next.
  Load wrong_flags = good;
  wrong_flags.change = [](bpf_attr& attr) { attr.prog_flags = ~0U; };
  CHECK(load(wrong_flags).error == EINVAL);
  CHECK(load(other).error == EPERM);
}

}  // namespace bpfwarden::vm
