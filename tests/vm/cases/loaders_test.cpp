// Signed light skeletons, step by step: what a loader may do, and when its children lose its name.
#include <algorithm>
#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <thread>

#include "loader/btf/kernel_abilities.h"
#include "loader/btf/kernel_has.h"
#include "loader/bundles/light_skeleton.h"
#include "loader/status/status_json.h"
#include "tests/vm/helpers/scene.h"

namespace bpfwarden::vm {
namespace {

constexpr const char* kAsksForMaps = R"(
[[rules]]
name = "network team"
allow = ["xdp"]
signed-by = ["netops"]
signature = "prog-used-maps"
)";

const std::string kRules = std::string(kAsksForMaps) + R"(
[[rules]]
name = "unsigned loaders, as a trap"
allow = ["syscall"]
signature = "unsigned"
)";

bool refused_for(Warden& warden, const std::string& cause) {
  return std::ranges::any_of(warden.events(), [&](const auto& event) {
    return event["refused"] == true && event["cause"] == cause;
  });
}

struct Prepared {
  Skeleton skeleton;
  Attempt map, program;

  explicit Prepared(const Warden& warden, bool is_signed = true)
      : skeleton{.bundle = sign_object("xdp_pass", warden.netops()), .is_signed = is_signed} {
    map = skeleton.create_map();
    REQUIRE(map.error == 0);
    program = skeleton.load_loader(map.fd, warden.ring());
    REQUIRE(program.error == 0);
  }
};

}  // namespace

TEST_CASE("allow_one_run_of_a_signed_loader",
          "[vm][loader][kernel][signing][kernel:signature_attr][kernel:signature_verdict][kernel:"
          "folded_maps]") {
  Warden warden;
  warden.apply("enforce", kRules);
  const Prepared prepared(warden);
  CHECK(prepared.skeleton.run(prepared.program.fd) == 0);
}

TEST_CASE(
    "deny_second_run_of_a_signed_loader",
    "[vm][loader][replay][kernel][signing][kernel:signature_attr][kernel:signature_verdict][kernel:"
    "folded_maps]") {
  Warden warden;
  warden.apply("enforce", kRules);
  const Prepared prepared(warden);
  CHECK(prepared.skeleton.run(prepared.program.fd) == 0);
  (void)warden.events();
  CHECK(prepared.skeleton.run(prepared.program.fd) == EPERM);
  CHECK(refused_for(warden, "kernel-load"));
}

TEST_CASE(
    "deny_children_of_an_unsigned_loader",
    "[vm][loader][replay][kernel][signing][kernel:signature_attr][kernel:signature_verdict][kernel:"
    "folded_maps]") {
  Warden warden;
  warden.apply("enforce", kRules);
  const Prepared prepared(warden, false);  // a rule admits the loader itself, but none its child
  CHECK(prepared.skeleton.run(prepared.program.fd) == EPERM);
  CHECK(refused_for(warden, "default"));
  const Prepared control(warden);
  CHECK(control.skeleton.run(control.program.fd) == 0);
}

TEST_CASE("deny_children_while_a_thread_shares_the_file_table",
          "[vm][loader][replay][kernel][kernel:signature_attr][kernel:signature_verdict][kernel:"
          "folded_maps]") {
  Warden warden;
  warden.apply("enforce", kRules);
  const Prepared prepared(warden);
  std::atomic<bool> done = false;
  std::thread sibling([&] {
    while (!done) std::this_thread::yield();
  });
  const int error = prepared.skeleton.run(prepared.program.fd);
  done = true;
  sibling.join();
  CHECK(error == EPERM);
  CHECK(refused_for(warden, "kernel-load"));
  CHECK(prepared.skeleton.run(prepared.program.fd) == 0);  // alone again, its one run is still due
}

TEST_CASE(
    "deny_loader_whose_metadata_is_not_frozen_as_signed",
    "[vm][loader][replay][kernel][signing][kernel:signature_attr][kernel:signature_verdict][kernel:"
    "folded_maps]") {
  Warden warden;
  warden.apply("enforce", kRules);
  Skeleton skeleton = {.bundle = sign_object("xdp_pass", warden.netops())};
  skeleton.bundle.metadata.back() ^= 1;
  const Attempt map = skeleton.create_map();
  REQUIRE(map.error == 0);
  CHECK(skeleton.load_loader(map.fd, warden.ring()).error == EKEYREJECTED);
  skeleton.bundle.metadata.back() ^= 1;
  const Attempt good = skeleton.create_map();
  REQUIRE(good.error == 0);
  CHECK(skeleton.load_loader(good.fd, warden.ring()).error == 0);
}

// Slots of signers belong to one image: what a loader was admitted by is looked up again by its
// key.
TEST_CASE("deny_children_that_a_later_policy_would_take_for_another_signers",
          "[vm][loader][keyring][kernel][kernel:signature_attr][kernel:signature_verdict][kernel:"
          "folded_maps]") {
  Warden warden;
  const Signer release("release");
  const auto policy = [](const std::string& name, const Signer& signer) {
    return "[keys." + name + "]\ncertificates = [\"" + signer.certificate_file.string() +
           "\"]\n[[rules]]\nname = \"" + name + "\"\nallow = [\"xdp\"]\nsigned-by = [\"" + name +
           "\", \"netops\"]\n";
  };
  warden.apply("enforce", policy("intern", warden.stranger()));
  Skeleton skeletons[] = {{.bundle = sign_object("xdp_pass", warden.stranger())},
                          {.bundle = sign_object("xdp_pass", warden.netops())}};
  std::vector<Attempt> held;
  for (const Skeleton& skeleton : skeletons) {
    const Attempt map = skeleton.create_map();
    held.push_back(skeleton.load_loader(map.fd, warden.ring()));
    REQUIRE(held.back().error == 0);
  }
  warden.apply("enforce", policy("release", release));  // in the place that `intern` had
  CHECK(skeletons[0].run(held[0].fd) == EPERM);
  CHECK(skeletons[1].run(held[1].fd) == 0);  // still trusted
}

constexpr const char* kSigned = R"(
[[rules]]
name = "network team"
allow = ["xdp"]
signed-by = ["netops"]
)";

std::string finding_of_doctor(const std::string& capability) {
  const auto doctor = nlohmann::json::parse(run("bpfwarden doctor --json").output);
  for (const auto& one : doctor["capabilities"])
    if (one["name"] == capability) return one["finding"];
  return "";
}

// With a key that no file holds: doctor asks the kernel by three loads of its own.
TEST_CASE("allow_doctor_to_see_what_the_kernel_makes_of_signatures",
          "[vm][bare][loader][keyring][kernel][signing][kernel:verifying_function][kernel:"
          "signature_attr][kernel:signature_"
          "verdict][kernel:"
          "folded_maps]") {
  const auto doctor = nlohmann::json::parse(run("bpfwarden doctor --json").output);
  std::string detail, finding;
  for (const auto& one : doctor["capabilities"]) {
    if (one["name"] == "signed trial") detail = one["detail"], finding = one["finding"];
    if (one["name"] == "signature verification" && !BW_KERNEL_HAS(signature_attr)) {
      CHECK(one["finding"] == "ok");
      CHECK(says(one["detail"], "by bpfwarden: prog-used-maps"));
      CHECK(doctor["can_enforce"] == true);
    }
  }
  INFO(doctor.dump(2));
  if (!BW_KERNEL_HAS(signature_attr)) {
    CHECK(finding == "limited");  // before a policy is active nobody verifies
    return;
  }
  CHECK(finding == "ok");
  CHECK(detail.ends_with("changed after signing, or by another key, it was refused"));
  CHECK(says(detail, BW_KERNEL_HAS(signature_verdict) ? "verdict is `verified`"
                                                      : "its verdict is not told"));
  CHECK_FALSE(says(run("cat /proc/keys"), "bpfwarden-doctor"));
}

// One bundle, two forms of its loader: the kernel decides which is run.
TEST_CASE("allow_one_bundle_on_every_kernel_that_verifies_signatures",
          "[vm][loader][keyring][kernel][signing][kernel:signature_attr][kernel:signature_verdict]["
          "kernel:"
          "folded_maps]") {
  Warden warden;
  const auto run_under = [&](const std::string& rules, const std::string& expected) {
    warden.apply("enforce", rules);
    const uint64_t version = warden.version();
    (void)warden.events();
    CHECK(load_bundle(sign_object("xdp_pass", warden.netops()), warden.ring()) == 0);
    const auto events = warden.events();
    INFO(version << nlohmann::json(events).dump(1));
    REQUIRE(events.size() == 2);
    CHECK(events[1]["attach"] == "xdp");
    CHECK(events[1]["signature"] == expected);
    const bool is_kernels = BW_KERNEL_HAS(folded_maps) || expected == "prog-only";
    for (const auto& event : events)
      CHECK(event["verified_by"] == (is_kernels ? "kernel" : "bpfwarden"));
  };
  const bool verifies_less = BW_KERNEL_HAS(signature_attr) && !BW_KERNEL_HAS(folded_maps);
  run_under(kSigned, verifies_less ? "prog-only" : "prog-used-maps");
  run_under(kAsksForMaps, "prog-used-maps");
  warden.apply("enforce", kSigned);
  CHECK(finding_of_doctor("signature verification") == "ok");
  CHECK(load_bundle(sign_object("xdp_pass", warden.stranger()), warden.stranger().ring) == EPERM);
}

// Of Debian's: the version finds the row, and nothing else asks for it.
const loader::KnownKernel& row_of_this_kernel() {
  const std::string release = run("uname -r").output;
  const auto is_of = [&](const char* version) { return release.starts_with(version); };
  const bool is_first_signed = is_of("6.18.") || is_of("6.19.") || is_of("7.0.") || is_of("7.1.");
  const std::string name = is_of("6.12.")    ? "6.12 to 6.17"
                           : is_first_signed ? "6.18 to 7.1"
                                             : release.substr(0, 3);
  const auto found = std::ranges::find(loader::known_kernels(), name, &loader::KnownKernel::name);
  INFO(release);
  REQUIRE(found != loader::known_kernels().end());
  return *found;
}

TEST_CASE("allow_each_row_of_the_table_of_kernels_to_be_what_such_a_kernel_says",
          "[vm][loader][kernel][signing][kernel:signature_attr][kernel:signature_verdict][kernel:"
          "folded_maps][kernel:program_digest][kernel:task_work][kernel:task_work_impl][kernel:"
          "verifying_function][kernel:lsm_of_cgroups][kernel:bpf_keyring]") {
  const loader::KernelFacts& facts = row_of_this_kernel().facts;
  const loader::KernelFacts found = loader::facts_of_kernel();
  CHECK(found.signature_attr == facts.signature_attr);
  CHECK(found.signature_verdict == facts.signature_verdict);
  CHECK(found.folded_maps == facts.folded_maps);
  CHECK(found.program_digest == facts.program_digest);
  CHECK(found.verifying_function == facts.verifying_function);
  CHECK(found.task_work == facts.task_work);
  CHECK(found.lsm_of_cgroups == facts.lsm_of_cgroups);
  CHECK(found == facts);
  CHECK(nlohmann::json::parse(run("bpfwarden doctor --json").output)["kernel_abilities"] ==
        loader::abilities_json(loader::abilities_of(facts)));
}

TEST_CASE(
    "deny_to_enforce_what_the_kernel_cannot_hold",
    "[vm][loader][kernel][signing][kernel:signature_attr][kernel:signature_verdict][kernel:folded_"
    "maps][kernel:program_digest]") {
  Warden warden;
  const bool holds = BW_KERNEL_HAS(program_digest);
  const std::string digests =
      "signature = \"unsigned\"\ndigests = [\"sha256:" + std::string(64, '0') + "\"]\n";
  const std::string asks = "[[rules]]\nname = \"network team\"\nallow = [\"xdp\"]\n" + digests;
  warden.apply("audit", asks);
  const uint64_t before = warden.version();
  const Ran enforced = warden.try_apply("enforce", asks, warden.raise_version());
  INFO(enforced.output);
  CHECK(enforced.status == (holds ? 0 : 1));
  CHECK(status()["policy_version"] == (holds ? before + 1 : before));
  CHECK(status()["kernel_abilities"]["program_digests"] == holds);
  CHECK(status()["kernel_abilities"]["signature"] == "prog-used-maps");
  if (holds) return;
  CHECK(says(enforced, "error: rule `network team` matches nothing here"));
  CHECK(says(enforced, "digests = [\"sha256:"));
  CHECK(says(enforced, "hint: use Linux 6.18 or later; or accept that: accept-kernel"));
  CHECK(says(enforced, "nothing was changed"));
  CHECK(load({}).error == 0);  // the policy in audit mode decides
  const uint64_t next = warden.raise_version();
  const Ran staged = run("bpfwarden stage " + warden.write_policy("enforce", asks, next));
  CHECK(staged.status == 1);
  CHECK(
      says(run("bpfwarden apply " + warden.write_policy("audit", asks, next)), "[weaker-kernel]"));
}

// Who verifies does not matter: no rule is content with less.
TEST_CASE("deny_less_than_a_rule_asks_for_whoever_verifies",
          "[vm][loader][keyring][kernel][signing][kernel:signature_attr][kernel:signature_verdict]["
          "kernel:folded_maps]") {
  Warden warden;
  warden.apply("enforce", kAsksForMaps);
  CHECK(load_bundle(sign_object("xdp_pass", warden.netops()), warden.ring()) == 0);
  CHECK(load(Load{}.signed_by(warden.netops())).error == EPERM);
  const Ran explained = run("bpfwarden explain " + warden.policy_file() +
                            " --attach xdp --key netops --signature prog-only");
  INFO(explained.output);
  CHECK(explained.status == 1);
  CHECK(load({}).error == EPERM);
  CHECK(load(Load{}.signed_by(warden.stranger())).error == EPERM);
  REQUIRE(run("bpfwarden apply --saved").status == 0);
  CHECK(load(Load{}.signed_by(warden.netops())).error == EPERM);
}

TEST_CASE("deny_metadata_that_a_self_checking_loader_was_not_signed_with",
          "[vm][loader][keyring][kernel][signing][kernel:signature_attr][kernel:signature_verdict]["
          "kernel:"
          "folded_maps]") {
  if (BW_KERNEL_HAS(folded_maps) || !BW_KERNEL_HAS(signature_attr))
    SKIP("here the metadata is verified");
  Warden warden;
  warden.apply("enforce", kSigned);
  const keyring::Bundle bundle = sign_object("xdp_pass", warden.netops());
  const auto insns = keyring::self_checking_insns(bundle);
  const auto run = [&](const std::vector<uint8_t>& metadata) {
    const loader::LightSkeleton skeleton = {insns, metadata, bundle.self_check_signature, true};
    const Fd map = loader::make_metadata_map(skeleton).value();
    const Fd program = loader::load_loader(skeleton, map, warden.ring()).value();
    auto context = loader::loader_context(bundle.maps.size(), bundle.programs.size());
    const Status ran = loader::run_loader(program, context);
    return ran ? 0 : ran.error().code;
  };
  for (const size_t at : {size_t{0}, bundle.metadata.size() / 2, bundle.metadata.size() - 1}) {
    auto changed = bundle.metadata;
    changed[at] ^= 1;
    CHECK(run(changed) == EINVAL);
  }
  CHECK(run(bundle.metadata) == 0);
}

}  // namespace bpfwarden::vm
