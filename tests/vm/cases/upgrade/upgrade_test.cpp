// A binary of one version and a kernel part of another, as between an upgrade and the reboot after
// it: what is active goes on deciding, and no verb reads or writes records that lie otherwise.
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/vm/helpers/scene.h"

namespace bpfwarden::vm {
namespace {

constexpr const char* kNothing = "# no rule\n";
constexpr const char* kPart = "/sys/fs/bpf/bpfwarden/map_part";
constexpr const char* kAside = "/sys/fs/bpf/part_aside";

// All that look into the kernel part. `off` is none of them: it ends each.
std::vector<std::string> verbs(const Warden& warden) {
  const std::string policy = warden.policy_file();
  return {"status",
          "status --json",
          "status --watch",
          "why",
          "policy show",
          "inventory",
          "events",
          "events --json",
          "report --html /tmp/report.html",
          "metrics",
          "suggest -o /tmp/suggested.toml",
          "diff --active " + policy,
          "apply --confirm-within 0 " + policy,
          "stage " + policy,
          "promote",
          "confirm",
          "rollback",
          "boot",
          "keys revoke " + policy + " " + warden.netops().certificate_file.string()};
}

// `keys revoke` has done what it was asked for, and cannot list whom that concerns.
int expected_status(const std::string& verb) {
  return verb.starts_with("diff") ? 2 : verb.starts_with("keys revoke") ? 0 : 1;
}

void check_told(const std::string& binary, const Warden& warden, const std::string& sentence) {
  for (const std::string& verb : verbs(warden)) {
    const Ran ran = run(binary + " " + verb);
    INFO(binary << " " << verb << ": " << ran.output);
    CHECK(ran.status == expected_status(verb));
    CHECK(says(ran, sentence));
    CHECK(says(ran, "reboot"));
    CHECK_FALSE(says(ran, "bpfwarden off"));
  }
  const Ran doctor = run(binary + " doctor");
  CHECK(doctor.status == 1);
  CHECK(says(doctor, sentence));
}

}  // namespace

TEST_CASE("deny_as_before_while_a_later_bpfwarden_says_whose_the_kernel_part_is", "[vm][upgrade]") {
  Warden warden;
  warden.apply("enforce", kNothing);
  REQUIRE(load({}).error == EPERM);
  const auto before = status();
  CHECK(before["kernel_part"]["abi"] == 1);
  check_told("bpfwarden_next", warden,
             "is of bpfwarden " + before["kernel_part"]["bpfwarden_version"].get<std::string>() +
                 " (ABI 1), this binary is 99.0.0 (ABI 2)");
  CHECK(load({}).error == EPERM);
  const auto after = status();
  CHECK(after["generation"] == before["generation"]);
  CHECK(after["keyring"] == before["keyring"]);
  CHECK(after["hooks"] == before["hooks"]);
  // Nobody has taken the events away.
  CHECK(warden.events().size() == 2);
}

TEST_CASE("deny_as_before_while_the_kernel_part_is_from_before_there_were_numbers",
          "[vm][upgrade]") {
  Warden warden;
  warden.apply("enforce", kNothing);
  std::filesystem::rename(kPart, kAside);
  check_told("bpfwarden", warden, "is of an earlier bpfwarden (no ABI number), this binary is ");
  CHECK(load({}).error == EPERM);
  std::filesystem::rename(kAside, kPart);
  CHECK(run("bpfwarden status").status == 0);
}

TEST_CASE("deny_by_a_later_kernel_part_which_an_earlier_bpfwarden_leaves_alone",
          "[vm][upgrade][bare]") {
  Warden warden;
  const std::string policy = warden.write_policy("enforce", kNothing, 1);
  const Ran applied = run("bpfwarden_next apply --confirm-within 0 --accept-denials " + policy);
  INFO(applied.output);
  REQUIRE(applied.status == 0);
  REQUIRE(load({}).error == EPERM);
  check_told("bpfwarden", warden, "is of bpfwarden 99.0.0 (ABI 2), this binary is ");
  CHECK(load({}).error == EPERM);
  CHECK(run("bpfwarden_next status").status == 0);
  // After the reboot that the hint asks for, each comes up with what was confirmed by the other.
  lose_kernel_state();
  const Ran boot = run("bpfwarden boot");
  INFO(boot.output);
  CHECK(boot.status == 0);
  CHECK(load({}).error == EPERM);
  CHECK(status()["kernel_part"]["abi"] == 1);
  // What ends enforcement ends that of another version, too.
  CHECK(run("bpfwarden_next off").status == 0);
  CHECK(load({}).error == 0);
}

}  // namespace bpfwarden::vm
