// The keyring of an active policy: what root can do to it, and what stays possible. "open" is the
// positive control: a keyring of the same content that is not bpfwarden's.
#include <keyutils.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <filesystem>

#include "tests/vm/helpers/effort.h"
#include "tests/vm/helpers/scene.h"
#include "tests/vm/helpers/verified.h"

namespace bpfwarden::vm {
namespace {

constexpr const char* kRules = R"(
[[rules]]
name = "filters"
allow = ["socket", "xdp"]
signed-by = ["netops"]
)";

int error_of(long result) { return result < 0 ? errno : 0; }

struct Scene {
  Warden warden;
  keyring::KeySerial ring = 0, key = 0, open = 0, open_key = 0;

  explicit Scene(const std::string& mode = "enforce") {
    warden.apply(mode, kRules);
    ring = warden.ring();
    key = keyring::ring_keys(ring).value().at(0);
    open = make_ring(warden.netops().certificate);
    open_key = keyring::ring_keys(open).value().at(0);
    REQUIRE(::keyctl_setperm(open_key, KEY_POS_ALL | KEY_USR_ALL) == 0);
    REQUIRE(::keyctl_setperm(open, KEY_POS_ALL | KEY_USR_ALL) == 0);
  }

  Load filter(keyring::KeySerial through) const {
    Load request;
    request.type = BPF_PROG_TYPE_SOCKET_FILTER;
    request.insns = Load::return_value(0);
    request.signed_by(warden.netops(), through);
    return request;
  }

  // The ring is still there, with its key, and still admits what it should.
  void check_whole() const {
    CHECK(warden.ring() == ring);
    CHECK(keyring::ring_keys(ring).value() == std::vector{key});
    CHECK(load(filter(ring)).error == 0);
  }
};

bool refused_as_sealed(Warden& warden, keyring::KeySerial key) {
  return std::ranges::any_of(warden.events(), [&](const auto& event) {
    return event["cause"] == "sealed-key" && event["hook"] == "key_permission" &&
           event["key_serial"] == key;
  });
}

}  // namespace

TEST_CASE("deny_adding_a_key_to_the_active_ring",
          "[vm][keyring][kernel][signing][kernel:signature_attr][kernel:signature_verdict][kernel:"
          "folded_maps]") {
  const Scene scene;
  const auto& der = scene.warden.stranger().certificate.der;
  const auto add = [&](keyring::KeySerial ring) {
    return error_of(::add_key("asymmetric", "stranger", der.data(), der.size(), ring));
  };
  CHECK(add(scene.ring) == EACCES);
  CHECK(add(scene.open) == 0);
  scene.check_whole();
}

TEST_CASE(
    "deny_linking_a_key_into_the_active_ring",
    "[vm][keyring][kernel][kernel:signature_attr][kernel:signature_verdict][kernel:folded_maps]") {
  const Scene scene;
  const auto stranger = keyring::ring_keys(scene.warden.stranger().ring).value().at(0);
  CHECK(error_of(::keyctl_link(stranger, scene.ring)) == EACCES);
  CHECK(error_of(::keyctl_link(stranger, scene.open)) == 0);
  scene.check_whole();
}

TEST_CASE(
    "deny_moving_a_key_out_of_the_active_ring",
    "[vm][keyring][kernel][kernel:signature_attr][kernel:signature_verdict][kernel:folded_maps]") {
  const Scene scene;
  CHECK(error_of(::keyctl_move(scene.key, scene.ring, scene.open, 0)) == EACCES);
  CHECK(error_of(::keyctl_move(scene.open_key, scene.open, KEY_SPEC_PROCESS_KEYRING, 0)) == 0);
  scene.check_whole();
}

TEST_CASE(
    "deny_clearing_the_active_ring",
    "[vm][keyring][kernel][kernel:signature_attr][kernel:signature_verdict][kernel:folded_maps]") {
  const Scene scene;
  CHECK(error_of(::keyctl_clear(scene.ring)) == EACCES);
  CHECK(error_of(::keyctl_clear(scene.open)) == 0);
  scene.check_whole();
}

TEST_CASE(
    "deny_revoking_the_active_ring_or_its_key",
    "[vm][keyring][kernel][kernel:signature_attr][kernel:signature_verdict][kernel:folded_maps]") {
  const Scene scene;
  CHECK(error_of(::keyctl_revoke(scene.ring)) == EACCES);
  CHECK(error_of(::keyctl_revoke(scene.key)) == EACCES);
  CHECK(error_of(::keyctl_revoke(scene.open_key)) == 0);
  CHECK(error_of(::keyctl_revoke(scene.open)) == 0);
  scene.check_whole();
}

TEST_CASE(
    "deny_setting_permissions_of_the_active_ring_or_its_key",
    "[vm][keyring][kernel][kernel:signature_attr][kernel:signature_verdict][kernel:folded_maps]") {
  const Scene scene;
  for (const auto key : {scene.ring, scene.key})
    CHECK(error_of(::keyctl_setperm(key, KEY_POS_ALL | KEY_USR_ALL)) == EACCES);
  for (const auto key : {scene.open, scene.open_key})
    CHECK(error_of(::keyctl_setperm(key, KEY_POS_ALL | KEY_USR_ALL)) == 0);
  scene.check_whole();
}

TEST_CASE(
    "deny_giving_the_active_ring_or_its_key_to_another_user",
    "[vm][keyring][kernel][kernel:signature_attr][kernel:signature_verdict][kernel:folded_maps]") {
  const Scene scene;
  for (const auto key : {scene.ring, scene.key})
    CHECK(error_of(::keyctl_chown(key, 1000, static_cast<gid_t>(-1))) == EACCES);
  CHECK(error_of(::keyctl_chown(scene.open_key, 0, 1000)) == 0);
  scene.check_whole();
}

TEST_CASE(
    "deny_a_timeout_on_the_active_ring_or_its_key",
    "[vm][keyring][kernel][kernel:signature_attr][kernel:signature_verdict][kernel:folded_maps]") {
  const Scene scene;
  for (const auto key : {scene.ring, scene.key})
    CHECK(error_of(::keyctl_set_timeout(key, 1)) == EACCES);
  CHECK(error_of(::keyctl_set_timeout(scene.open, 1000)) == 0);
  scene.check_whole();
}

TEST_CASE(
    "deny_invalidating_the_active_ring",
    "[vm][keyring][kernel][kernel:signature_attr][kernel:signature_verdict][kernel:folded_maps]") {
  Scene scene;
  CHECK(error_of(::keyctl_invalidate(scene.ring)) == EPERM);
  CHECK(refused_as_sealed(scene.warden, scene.ring));
  CHECK(error_of(::keyctl_invalidate(scene.open)) == 0);
  scene.check_whole();
}

TEST_CASE(
    "deny_invalidating_a_key_of_the_active_ring",
    "[vm][keyring][kernel][kernel:signature_attr][kernel:signature_verdict][kernel:folded_maps]") {
  Scene scene;
  CHECK(error_of(::keyctl_invalidate(scene.key)) == EPERM);
  CHECK(refused_as_sealed(scene.warden, scene.key));
  CHECK(error_of(::keyctl_invalidate(scene.open_key)) == 0);
  scene.check_whole();
}

TEST_CASE(
    "deny_unlinking_the_active_ring_from_roots_keyring",
    "[vm][keyring][kernel][kernel:signature_attr][kernel:signature_verdict][kernel:folded_maps]") {
  Scene scene;
  CHECK(error_of(::keyctl_unlink(scene.ring, KEY_SPEC_USER_KEYRING)) == EPERM);
  CHECK(refused_as_sealed(scene.warden, scene.ring));
  REQUIRE(::keyctl_link(scene.open, KEY_SPEC_USER_KEYRING) == 0);
  CHECK(error_of(::keyctl_unlink(scene.open, KEY_SPEC_USER_KEYRING)) == 0);
  scene.check_whole();
}

TEST_CASE("allow_invalidating_the_ring_in_audit_mode_and_say_so", "[vm][keyring]") {
  Scene scene("audit");
  CHECK(error_of(::keyctl_invalidate(scene.key)) == 0);
  const auto events = scene.warden.events();
  const auto found = std::ranges::find_if(
      events, [](const auto& event) { return event["cause"] == "sealed-key"; });
  REQUIRE(found != events.end());
  CHECK((*found)["refused"] == false);
  CHECK((*found)["mode"] == "audit");
}

TEST_CASE(
    "allow_reading_searching_and_linking_the_active_ring",
    "[vm][keyring][kernel][kernel:signature_attr][kernel:signature_verdict][kernel:folded_maps]") {
  const Scene scene;
  CHECK(keyring::ring_keys(scene.ring).value().size() == 1);
  CHECK(keyring::find_key(scene.ring, scene.warden.netops().certificate).value() == scene.key);
  CHECK(keyring::link_into_session(scene.ring));
  CHECK(load(scene.filter(KEY_SPEC_SESSION_KEYRING)).error == 0);
  scene.check_whole();
}

TEST_CASE("allow_whoever_ends_a_ring_that_is_not_bpfwardens", "[vm][keyring]") {
  Scene scene;
  CHECK(error_of(::keyctl_invalidate(scene.open)) == 0);
  CHECK(scene.warden.events().empty());
}

// Displacing a keyring of the same name in root's own keyring asks for no permission on ours.
TEST_CASE(
    "deny_a_strangers_key_in_a_ring_of_the_same_name",
    "[vm][keyring][kernel][kernel:signature_attr][kernel:signature_verdict][kernel:folded_maps]") {
  Scene scene;
  const auto& der = scene.warden.stranger().certificate.der;
  const auto impostor = ::add_key("keyring", "bpfwarden", nullptr, 0, KEY_SPEC_PROCESS_KEYRING);
  REQUIRE(impostor > 0);
  REQUIRE(::add_key("asymmetric", "stranger", der.data(), der.size(), impostor) > 0);
  REQUIRE(::keyctl_link(impostor, KEY_SPEC_USER_KEYRING) == 0);
  Load request = scene.filter(impostor);
  request.signed_by(scene.warden.stranger(), impostor);
  CHECK(load(request).error == EPERM);
  CHECK(load(scene.filter(scene.open)).error == 0);  // our signer's key, wherever it lies
  CHECK(load(scene.filter(impostor)).error == ENOKEY);
}

TEST_CASE(
    "allow_a_displaced_ring_to_come_back_with_the_same_policy",
    "[vm][keyring][kernel][kernel:signature_attr][kernel:signature_verdict][kernel:folded_maps]") {
  Scene scene;
  const auto impostor = ::add_key("keyring", "bpfwarden", nullptr, 0, KEY_SPEC_USER_KEYRING);
  REQUIRE(impostor > 0);
  CHECK(run("bpfwarden status --json").output.find("\"keyring\": null") != std::string::npos);
  REQUIRE(scene.warden
              .try_apply("enforce", "default = \"deny\"\n" + std::string(kRules),
                         scene.warden.version())
              .status == 0);
  const auto again = scene.warden.ring();
  CHECK(again != impostor);
  CHECK(load(scene.filter(again)).error == 0);
  CHECK(error_of(::keyctl_invalidate(again)) == EPERM);
}

TEST_CASE(
    "deny_invalidating_the_ring_of_the_next_policy",
    "[vm][keyring][kernel][kernel:signature_attr][kernel:signature_verdict][kernel:folded_maps]") {
  Scene scene;
  const auto before = scene.ring;
  scene.warden.apply("enforce", kRules);
  const auto after = scene.warden.ring();
  CHECK(after != before);
  CHECK(error_of(::keyctl_invalidate(after)) == EPERM);
  CHECK(load(scene.filter(after)).error == 0);
}

TEST_CASE(
    "allow_loads_without_a_gap_while_the_policy_is_replaced",
    "[vm][keyring][kernel][kernel:signature_attr][kernel:signature_verdict][kernel:folded_maps]") {
  Scene scene;
  const pid_t applier = ::fork();
  REQUIRE(applier >= 0);
  if (applier == 0) {
    for (int i = 0; i < 3; i++) scene.warden.apply("enforce", kRules);
    ::_exit(0);
  }
  int failures = 0, loads = 0;
  for (; ::waitpid(applier, nullptr, WNOHANG) == 0; loads++)
    failures += load(scene.filter(scene.open)).error != 0;
  CHECK(loads > 10);
  CHECK(failures == 0);
}

TEST_CASE(
    "deny_a_bundle_cut_short_or_tampered_with",
    "[vm][keyring][kernel][kernel:signature_attr][kernel:signature_verdict][kernel:folded_maps]") {
  Scene scene;
  const test::TempDir folder;
  const auto& netops = scene.warden.netops();
  const std::string bundle = (folder.path() / "whole").string();
  REQUIRE(run("bpfwarden sign " + std::string(kObjects) + "/xdp_bare.bpf.o --prog-only " +
              netops.options() + " -o " + bundle)
              .status == 0);
  const std::string bytes = run("cat " + bundle).output;
  const auto runs = [&](const std::filesystem::path& file) {
    return run_as_verified(scene.warden, file.string()).status;
  };
  for (size_t size = 0; size < bytes.size(); size += effort<size_t>(256, 64))
    CHECK(runs(folder.write("cut", bytes.substr(0, size))) == 2);
  std::string changed = bytes;
  const size_t at = changed.find("\"license\"");
  REQUIRE(at != std::string::npos);
  changed[at + 1] = 'L';
  CHECK(runs(folder.write("changed", changed)) == 2);
  CHECK(runs(bundle) == 0);
}

TEST_CASE(
    "deny_a_key_once_it_is_revoked",
    "[vm][keyring][kernel][kernel:signature_attr][kernel:signature_verdict][kernel:folded_maps]") {
  Warden warden;
  warden.apply("enforce",
               "[[rules]]\nname = \"team\"\nallow = [\"xdp\"]\nsigned-by = [\"netops\"]\n");
  const test::TempDir folder;
  const std::string bundle = folder.path() / "xdp_pass.bpfsig";
  const std::string pins = "/sys/fs/bpf/revoked-test";
  REQUIRE(run("bpfwarden sign " + std::string(kObjects) + "/xdp_pass.bpf.o -o " + bundle + " " +
              warden.netops().options())
              .status == 0);
  REQUIRE(run_as_verified(warden, bundle, "--pin " + pins).status == 0);
  const Ran revoked = run("bpfwarden keys revoke " + warden.policy_file() + " " +
                          warden.netops().certificate_file.string());
  INFO(revoked.output);
  CHECK(revoked.status == 0);
  CHECK(revoked.output.find("(xdp), by rule 'team' of policy version " +
                            std::to_string(warden.version())) != std::string::npos);
  CHECK(run("bpfwarden run " + bundle).status == 0);  // not yet applied
  // That it refuses what runs is what a revocation is for.
  const Ran applied = run("bpfwarden apply " + warden.policy_file());
  INFO(applied.output);
  REQUIRE(applied.status == 0);
  CHECK(applied.output.find("takes away by a revocation") != std::string::npos);
  CHECK(applied.output.find("xdp, signed by netops") != std::string::npos);
  const Ran own = run_as_verified(warden, bundle);
  INFO(own.output);
  CHECK(own.status == 1);
  CHECK(own.output.find("Required key not available") != std::string::npos);
  const Ran others =
      run("bpfwarden run " + bundle + " --keyring " + std::to_string(warden.netops().ring));
  CHECK(others.status == 1);
  CHECK(others.output.find("Operation not permitted") != std::string::npos);
  run("rm -r " + pins);
}

}  // namespace bpfwarden::vm
