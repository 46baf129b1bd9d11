// Attempts at what is decided when a program is loaded: who signed it, what the signature covers,
// where it was signed for, and what became of the trusted keyring.
#include <keyutils.h>

#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <memory>

#include "loader/btf/kernel_has.h"
#include "loader/bundles/light_skeleton.h"
#include "tests/vm/attack/control.h"
#include "tests/vm/helpers/relocated.h"
#include "tests/vm/helpers/scene.h"
#include "tests/vm/helpers/sharing.h"

namespace bpfwarden::vm {
namespace {

constexpr const char* kNetopsXdp = R"(
[[rules]]
name = "network team"
allow = ["xdp"]
signed-by = ["netops"]
)";

bool works(const Load& request) { return load(request).error == 0; }

const Control unsigned_load([] { return works({}); });
const Control foreign_load([] { return works(Load{}.signed_by(Signer("anybody"))); });
const Control on_another_point([] {
  const Signer signer("anybody");
  return works(Load::packet_filter().signed_by(signer)) &&
         works(Load{.attach_type = BPF_XDP_DEVMAP}.signed_by(signer));
});
const Control relocated([] {
  const Signer signer("anybody");
  Relocated rewritten;
  return works(rewritten.request(signer));
});

// With the name and the subject key id of `model`'s certificate.
std::unique_ptr<Signer> look_alike(const Signer& model) {
  test::TestKey made = test::make_key({.common_name = "netops", .subject_key_id = false});
  const std::string id = hex(model.certificate.subject_key_id);
  test::add_extension(made.cert.get(), NID_subject_key_identifier, id.c_str());
  test::require(X509_sign(made.cert.get(), made.key.get(), EVP_sha256()));
  auto twin = std::make_unique<Signer>("netops");
  twin->key = keyring::open_private_key(twin->folder.write("k", test::key_pem(made))).value();
  twin->certificate =
      keyring::read_certificates(twin->folder.write("c", test::certificate_pem(made)))
          .value()
          .front();
  twin->ring = make_ring(twin->certificate);
  return twin;
}

const Control by_a_look_alike([] {
  return works(Load{}.signed_by(*look_alike(Signer("netops"))));
});

}  // namespace

TEST_CASE("attack_load_without_a_signature_or_with_a_key_of_ones_own",
          "[vm][attack][control][kernel][kernel:signature_attr][kernel:signature_verdict][kernel:"
          "folded_maps]") {
  unsigned_load.must_have_worked();
  foreign_load.must_have_worked();
  Warden warden;
  warden.apply("enforce", kNetopsXdp);
  CHECK(load({}).error == EPERM);
  CHECK(load(Load{}.signed_by(warden.stranger())).error == EPERM);
  CHECK(load(Load{}.signed_by(warden.netops())).error == 0);
}

TEST_CASE("attack_sign_with_a_look_alike_key",
          "[vm][attack][keyring][control][kernel][kernel:signature_attr][kernel:signature_verdict]["
          "kernel:folded_maps]") {
  by_a_look_alike.must_have_worked();
  Warden warden;
  warden.apply("enforce", kNetopsXdp);
  const auto twin = look_alike(warden.netops());
  REQUIRE(twin->certificate.subject_key_id == warden.netops().certificate.subject_key_id);
  CHECK(load(Load{}.signed_by(*twin)).error == EPERM);
  CHECK(load(Load{}.signed_by(warden.netops())).error == 0);
}

TEST_CASE("attack_replay_signed_instructions_elsewhere",
          "[vm][attack][control][kernel][kernel:signature_attr][kernel:signature_verdict][kernel:"
          "folded_maps]") {
  on_another_point.must_have_worked();
  Warden warden;
  warden.apply("enforce", kNetopsXdp);
  CHECK(load(Load::packet_filter().signed_by(warden.netops())).error == EPERM);
  CHECK(load(Load{.attach_type = BPF_XDP_DEVMAP}.signed_by(warden.netops())).error == EPERM);
  CHECK(load(Load{}.signed_by(warden.netops())).error == 0);
}

TEST_CASE("attack_rewrite_signed_instructions",
          "[vm][attack][control][kernel][kernel:signature_attr][kernel:signature_verdict][kernel:"
          "folded_maps]") {
  relocated.must_have_worked();
  Warden warden;
  warden.apply("enforce", kNetopsXdp);
  Relocated rewritten;
  CHECK(load(rewritten.request(warden.netops())).error == EPERM);
  CHECK(load(Load{}.signed_by(warden.netops())).error == 0);
}

// ---- Loaders ------------------------------------------------------------------------------------

namespace {

// A loader that has been loaded, and its run is due.
struct Due {
  Skeleton skeleton;
  Attempt map, program;

  Due(const Signer& signer, keyring::KeySerial ring)
      : skeleton{.bundle = sign_object("xdp_pass", signer)} {
    map = skeleton.create_map();
    if (map.error == 0) program = skeleton.load_loader(map.fd, ring);
  }
  [[nodiscard]] int run() const { return skeleton.run(program.fd); }
  [[nodiscard]] int run_shared() const {
    const Companion companion;
    return run();
  }
};

bool runs_twice() {
  const Signer signer("anybody");
  const Due due(signer, signer.ring);
  return due.run() == 0 && due.run_shared() == 0;
}

bool stays_writable() {
  Skeleton skeleton = {.bundle = sign_object("xdp_pass", Signer("anybody"))};
  skeleton.map_flags = BPF_F_MMAPABLE;
  return skeleton.create_map().error == 0;
}

const Control twice([] { return !BW_KERNEL_HAS(folded_maps) || runs_twice(); });
const Control writable_metadata(stays_writable);

}  // namespace

TEST_CASE("attack_run_a_loader_twice_or_while_a_thread_shares_its_files",
          "[vm][attack][loader][control][kernel][kernel:signature_attr][kernel:signature_verdict]["
          "kernel:folded_maps]") {
  twice.must_have_worked();
  Warden warden;
  warden.apply("enforce", kNetopsXdp);
  const Due due(warden.netops(), warden.ring());
  CHECK(due.run_shared() == EPERM);
  wait_until_alone();
  CHECK(due.run() == 0);
  CHECK(due.run() == EPERM);
}

TEST_CASE("attack_keep_a_loaders_metadata_writable",
          "[vm][attack][loader][control][kernel][kernel:signature_attr][kernel:signature_verdict]["
          "kernel:folded_maps][kernel:exclusive_maps]") {
  writable_metadata.must_have_worked();
  Warden warden;
  warden.apply("enforce", kNetopsXdp);
  Skeleton skeleton = {.bundle = sign_object("xdp_pass", warden.netops())};
  CHECK(skeleton.create_map().error == 0);
  skeleton.map_flags = BPF_F_MMAPABLE;
  if (BW_KERNEL_HAS(exclusive_maps)) {
    CHECK(skeleton.create_map().error == EPERM);
    return;
  }
  // It is nobody's own, and no signature covers it.
  const Attempt writable = skeleton.create_map();
  CHECK(writable.error == 0);
  CHECK(skeleton.load_loader(writable.fd, warden.ring()).error == EINVAL);
}

// Slots of signers are numbered anew by each policy: `stranger` had the one that `netops` gets.
TEST_CASE("attack_run_a_loader_of_an_earlier_policy",
          "[vm][attack][loader][control][kernel][kernel:signature_attr][kernel:signature_verdict]["
          "kernel:folded_maps]") {
  twice.must_have_worked();
  Warden warden;
  const Signer release("release");
  const auto policy = [](const std::string& name, const Signer& signer) {
    return "[keys." + name + "]\ncertificates = [\"" + signer.certificate_file.string() +
           "\"]\n[[rules]]\nname = \"r\"\nallow = [\"xdp\"]\nsigned-by = [\"" + name +
           "\", \"netops\"]\n";
  };
  warden.apply("enforce", policy("intern", warden.stranger()));
  const Due foreign(warden.stranger(), warden.ring()), own(warden.netops(), warden.ring());
  REQUIRE(foreign.program.error == 0);
  warden.apply("enforce", policy("release", release));
  CHECK(foreign.run() == EPERM);
  CHECK(own.run() == 0);
}

// ---- The keyring --------------------------------------------------------------------------------

namespace {

int error_of(long result) { return result < 0 ? errno : 0; }

// What takes a ring or its key away, one by one; each tried on its own ring by `make`.
bool takes_all_away(const std::function<keyring::KeySerial()>& make) {
  const auto none = static_cast<gid_t>(-1);
  return ::keyctl_clear(make()) == 0 && ::keyctl_set_timeout(make(), 1) == 0 &&
         ::keyctl_chown(make(), 0, none) == 0 && ::keyctl_revoke(make()) == 0 &&
         ::keyctl_invalidate(make()) == 0;
}

const Control on_an_open_ring([] {
  const Signer signer("anybody");
  return takes_all_away([&] { return make_ring(signer.certificate); });
});

}  // namespace

TEST_CASE("attack_take_the_keyring_apart",
          "[vm][attack][keyring][control][kernel][kernel:signature_attr][kernel:signature_verdict]["
          "kernel:folded_maps]") {
  on_an_open_ring.must_have_worked();
  Warden warden;
  warden.apply("enforce", kNetopsXdp);
  const keyring::KeySerial ring = warden.ring();
  const keyring::KeySerial key = keyring::find_key(ring, warden.netops().certificate).value();
  for (const keyring::KeySerial serial : {ring, key}) {
    CHECK(error_of(::keyctl_set_timeout(serial, 1)) == EACCES);
    CHECK(error_of(::keyctl_chown(serial, 1000, static_cast<gid_t>(-1))) == EACCES);
    CHECK(error_of(::keyctl_revoke(serial)) == EACCES);
    CHECK(error_of(::keyctl_invalidate(serial)) == EPERM);
  }
  CHECK(error_of(::keyctl_clear(ring)) == EACCES);
  CHECK(error_of(::keyctl_unlink(key, ring)) == EACCES);
  CHECK(load(Load{}.signed_by(warden.netops(), ring)).error == 0);
}

// ---- Metadata before Linux 7.3 ------------------------------------------------------------------

namespace {

// The errno of a self-checking loader whose metadata was changed in its last byte, or not.
int run_self_checking(const Signer& signer, keyring::KeySerial ring, bool changed) {
  const keyring::Bundle bundle = sign_object("xdp_pass", signer);
  const auto insns = keyring::self_checking_insns(bundle);
  auto metadata = bundle.metadata;
  if (changed) metadata.back() ^= 1;
  const loader::LightSkeleton skeleton = {insns, metadata, bundle.self_check_signature, true};
  const Fd map = loader::make_metadata_map(skeleton).value();
  const Fd program = loader::load_loader(skeleton, map, ring).value();
  auto context = loader::loader_context(bundle.maps.size(), bundle.programs.size());
  const Status ran = loader::run_loader(program, context);
  return ran ? 0 : ran.error().code;
}

// A loader that does not check itself runs on whatever it is given.
const Control unchecked_metadata([] {
  Skeleton skeleton = {.bundle = sign_object("xdp_pass", Signer("anybody")), .is_signed = false};
  skeleton.bundle.metadata.back() ^= 1;
  const Attempt map = skeleton.create_map();
  const Attempt program = skeleton.load_loader(map.fd, 0);
  return program.error == 0 && skeleton.run(program.fd) != EINVAL;
});

}  // namespace

TEST_CASE("attack_change_the_metadata_of_a_self_checking_loader",
          "[vm][attack][loader][control][kernel][kernel:signature_attr][kernel:signature_verdict]["
          "kernel:folded_maps]") {
  if (BW_KERNEL_HAS(folded_maps) || !BW_KERNEL_HAS(signature_attr))
    SKIP("here the metadata is verified");
  unchecked_metadata.must_have_worked();
  Warden warden;
  warden.apply("enforce", kNetopsXdp);
  CHECK(run_self_checking(warden.netops(), warden.ring(), true) == EINVAL);
  CHECK(run_self_checking(warden.netops(), warden.ring(), false) == 0);
}

}  // namespace bpfwarden::vm
