// Signed once, for every kernel: whoever verifies, the same is admitted and the same refused, each
// with its errno.
#include <bpf/bpf.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "bpf-lsm/abi/load_signature.h"
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
          "[vm][keyring][kernel][signing][kernel:signature_attr]") {
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
  const std::string rule = "[[rules]]\nname = \"one\"\nallow = [\"xdp\"]\ndigests = " + digest;
  const Ran by_rule = warden.try_apply("enforce", rule, warden.raise_version());
  INFO(by_rule.output);
  CHECK(by_rule.status == 2);
  CHECK(says(by_rule, "error: rule `one` matches nothing here: it names digests"));
  const Ran denied =
      warden.try_apply("enforce", "deny-digests = " + digest + kRules, warden.raise_version());
  INFO(denied.output);
  CHECK(denied.status == 2);
  CHECK(says(denied, "error: `deny-digests` denies nothing here"));
  warden.apply("enforce", kRules);
}

// Whoever is killed while its load is verified leaves no slot taken.
TEST_CASE("allow_loads_after_loaders_were_killed",
          "[vm][keyring][kernel][signing][kernel:signature_attr]") {
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

}  // namespace bpfwarden::vm
