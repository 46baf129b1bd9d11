// A policy held against kernels, by what is written down of them.
#include "loader/policies/kernel_fit.h"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <fstream>

#include "policy/image/signers.h"
#include "policy/image/situation.h"
#include "tests/unit/keyring/test_keys.h"

namespace bpfwarden::loader {
namespace {

using policy::Severity;
using policy::Signature;

KernelAbilities kernel_named(std::string_view name) {
  const auto found = std::ranges::find(known_kernels(), name, &KnownKernel::name);
  REQUIRE(found != known_kernels().end());
  return abilities_of(found->facts);
}

// That verifies instructions, and has no function by which bpfwarden could verify more.
KernelAbilities old_kernel() { return abilities_of({.signature_attr = true}); }
KernelAbilities new_kernel() { return kernel_named("7.3"); }

// Line 8 is the rule's signature.
CompiledPolicy asking(const std::string& mode, const std::string& settings = "",
                      const std::string& more = "") {
  const test::TempDir folder;
  std::ofstream(folder.path() / "netops.pem") << test::certificate_pem(test::make_key({}));
  std::ofstream(folder.path() / "policy.toml")
      << settings << "schema = 1\nname = \"edge\"\nversion = 1\ndefault = \"deny\"\nmode = \""
      << mode
      << "\"\n[[rules]]\nname = \"network\"\n"
         "signature = \"prog-used-maps\"\nallow = [\"xdp\"]\nsigned-by = [\"netops\"]\n"
      << more << "[keys.netops]\ncertificates = [\"netops.pem\"]\n";
  auto compiled = compile_policy(parse_policy_file(folder.path() / "policy.toml"));
  if (!compiled) FAIL(compiled.error().message);
  return std::move(*compiled);
}

bool admits(const CompiledPolicy& compiled, Signature signature) {
  policy::Situation situation;
  situation.attach = policy::parse_attach_point("xdp").value();
  situation.signature = signature;
  situation.signer = policy::signer_slot(*compiled.image, compiled.policy, "netops").value();
  return policy::decide_on(*compiled.image, situation).last().allow != 0;
}

std::vector<policy::Diagnostic> fit(const CompiledPolicy& compiled, const KernelAbilities& kernel,
                                    Occasion occasion = Occasion::change) {
  return held_against(compiled, kernel, occasion);
}

}  // namespace

TEST_CASE("a rule that asks for more than a kernel tells is an error where it says so") {
  CompiledPolicy policy = asking("enforce");
  CHECK(fit(policy, new_kernel()).empty());
  const auto found = fit(policy, old_kernel());
  REQUIRE(found.size() == 1);
  CHECK(found[0].severity == Severity::error);
  CHECK(found[0].code == kWeakerKernel);
  CHECK(found[0].line == 8);
  CHECK(found[0].column == 13);
  CHECK(found[0].width == 16);
  CHECK(found[0].message.find("rule `network` matches nothing here") == 0);
  CHECK(found[0].hint.find("use Linux 7.3 or later") == 0);
  const Status refused = require_held(found);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message.find("policy.toml:8; nothing was changed") != std::string::npos);
  CHECK(require_held({}));
  CHECK_FALSE(admits(policy, Signature::prog_only));
}

TEST_CASE("in audit mode, and at a boot, it is a warning") {
  CompiledPolicy audit = asking("audit");
  auto found = fit(audit, old_kernel());
  REQUIRE(found.size() == 1);
  CHECK(found[0].severity == Severity::warning);
  CHECK(found[0].code == kWeakerKernel);
  CHECK(require_held(found));
  CompiledPolicy enforced = asking("enforce");
  found = fit(enforced, old_kernel(), Occasion::boot);
  REQUIRE(found.size() == 1);
  CHECK(found[0].severity == Severity::warning);
  CHECK_FALSE(admits(enforced, Signature::prog_only));  // rather less than nothing
  CompiledPolicy on_its_own = asking("audit", "", "mode = \"enforce\"\n");
  CHECK_FALSE(require_held(fit(on_its_own, old_kernel())));  // one rule that enforces is enough
}

TEST_CASE("where nobody verifies a rule about signatures matches nothing, and that is a warning") {
  CompiledPolicy policy = asking("enforce");
  const auto found = fit(policy, abilities_of({}));
  REQUIRE(found.size() == 1);
  CHECK(found[0].message.ends_with("nobody verifies signatures on this kernel"));
  CHECK_FALSE(admits(policy, Signature::unsigned_));
  CHECK_FALSE(admits(policy, Signature::prog_only));
}

TEST_CASE("what is accepted by code is told no more, and errors are accepted by none") {
  const std::string accepts = "accept = [\"weaker-kernel: the old half\"]\n";
  CHECK(fit(asking("audit", accepts), old_kernel()).empty());
  CHECK_FALSE(require_held(fit(asking("enforce", accepts), old_kernel())));
}

TEST_CASE("digests are asked for where a kernel keeps none") {
  const std::string digest = "[\"sha256:" + std::string(64, 'a') + "\"]\n";
  KernelAbilities kernel = new_kernel();
  kernel.digests = false;
  CompiledPolicy rule = asking("enforce", "", "digests = " + digest);
  CHECK(fit(rule, new_kernel()).empty());
  REQUIRE(fit(rule, kernel).size() == 1);
  CHECK(fit(rule, kernel)[0].line == 11);
  CompiledPolicy denied = asking("enforce", "deny-digests = " + digest);
  auto found = fit(denied, kernel);
  REQUIRE(found.size() == 1);
  CHECK(found[0].line == 1);
  CHECK(found[0].severity == Severity::error);
  CompiledPolicy accepted =
      asking("enforce", "accept-kernel = [\"no-digests\"]\ndeny-digests = " + digest);
  found = fit(accepted, kernel);
  REQUIRE(found.size() == 1);
  CHECK(found[0].severity == Severity::warning);
}

TEST_CASE("keys by certificates sign nothing where .bpf alone verifies") {
  const KernelAbilities alone = kernel_named("after 7.3, booted with `bpf.keyring_unsealed=1`");
  const CompiledPolicy policy = asking("enforce");
  const auto found = fit(policy, alone);
  REQUIRE(found.size() == 1);
  CHECK(found[0].severity == Severity::error);
  CHECK(found[0].message.find("nothing is ever signed by `netops` here") == 0);
  CHECK(found[0].hint.find("keyring = \"bpf\"") != std::string::npos);
  CHECK(found[0].hint.find("`bpfwarden enrol`") != std::string::npos);
  CHECK(fit(policy, kernel_named("after 7.3")).empty());
}

// What is written down of these kernels: none of them was tried.
TEST_CASE("keys of the keyring .bpf sign something where it is in force, and nowhere else") {
  CompiledPolicy policy = asking("enforce", "", "[keys.later]\nkeyring = \"bpf\"\n");
  const auto about_later = [&](std::string_view kernel) {
    auto found = fit(policy, kernel_named(kernel));
    std::erase_if(found, [](const policy::Diagnostic& one) {
      return one.message.find("`later`") == std::string::npos;
    });
    return found;
  };
  for (const char* without : {"6.12 to 6.17", "7.3"}) {
    const auto found = about_later(without);
    REQUIRE(found.size() == 1);
    CHECK(found[0].severity == Severity::error);
    CHECK(found[0].line == 12);
    CHECK(found[0].message.ends_with("this kernel has no keyring .bpf"));
    CHECK(found[0].hint.find("after Linux 7.3") != std::string::npos);
  }
  const auto closed = about_later("after 7.3");
  REQUIRE(closed.size() == 1);
  CHECK(closed[0].message.find("has closed .bpf empty") != std::string::npos);
  CHECK(closed[0].hint.find("boot with bpf.keyring_unsealed=1") == 0);
  CHECK(about_later("after 7.3, booted with `bpf.keyring_unsealed=1`").empty());
}

}  // namespace bpfwarden::loader
