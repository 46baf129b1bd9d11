// Certificates that are enrolled into a keyring, which is closed with them. A keyring of the test's
// own stands for `.bpf`, which no kernel here has.
#include "keyring/enrol.h"

#include <keyutils.h>

#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/keyring/test_signer.h"
#include "tests/vm/helpers/scene.h"

namespace bpfwarden::vm {
namespace {

using keyring::EnrolOutcome;
using keyring::KeySerial;
using test::make_signer;

constexpr key_perm_t kEverything = KEY_POS_ALL | KEY_USR_ALL;

int error_of_call(long result) { return result < 0 ? errno : 0; }

// Open, as the kernel leaves `.bpf` to the initramfs.
class OwnRing {
 public:
  OwnRing() {
    REQUIRE(serial > 0);
    REQUIRE(::keyctl_setperm(serial, kEverything) == 0);
  }
  OwnRing(const OwnRing&) = delete;
  OwnRing& operator=(const OwnRing&) = delete;
  ~OwnRing() { ::keyctl_unlink(serial, KEY_SPEC_PROCESS_KEYRING); }

  // Each by a name of its own: of two with the same one the process would keep the last.
  static inline int made = 0;
  const KeySerial serial =
      ::add_key("keyring", ("stands for .bpf, " + std::to_string(made++)).c_str(), nullptr, 0,
                KEY_SPEC_PROCESS_KEYRING);
};

// What root could do to it later; 0 or errno.
int add_to(KeySerial ring, const Certificate& certificate) {
  return error_of_call(
      ::add_key("asymmetric", nullptr, certificate.der.data(), certificate.der.size(), ring));
}

keyring::Enrolment enrolled(KeySerial ring, const std::vector<Certificate>& certificates) {
  auto enrolment = keyring::enrol(ring, certificates);
  INFO((enrolment ? "" : enrolment.error().message));
  REQUIRE(enrolment);
  return std::move(*enrolment);
}

}  // namespace

TEST_CASE("deny_any_key_more_in_a_keyring_that_was_enrolled_into", "[vm][keyring]") {
  const test::Signer first = make_signer(), second = make_signer(), stranger = make_signer();
  const OwnRing open, ring;
  // The control: what is refused afterwards works on one that is open.
  CHECK(add_to(open.serial, stranger.certificate) == 0);
  CHECK(error_of_call(::keyctl_clear(open.serial)) == 0);
  CHECK(error_of_call(::keyctl_setperm(open.serial, kEverything)) == 0);

  const auto enrolment = enrolled(ring.serial, {first.certificate, second.certificate});
  CHECK(enrolment.certificates[0].outcome == EnrolOutcome::added);
  CHECK(enrolment.certificates[1].outcome == EnrolOutcome::added);
  CHECK(enrolment.key_count == 2);
  CHECK_FALSE(enrolment.was_closed);
  CHECK(add_to(ring.serial, stranger.certificate) == EACCES);
  CHECK(error_of_call(::keyctl_clear(ring.serial)) == EACCES);
  CHECK(error_of_call(::keyctl_setperm(ring.serial, kEverything)) == EACCES);
  CHECK(error_of_call(::keyctl_restrict_keyring(ring.serial, nullptr, nullptr)) == EACCES);

  const auto again = enrolled(ring.serial, {stranger.certificate, first.certificate});
  CHECK(again.was_closed);
  CHECK(again.key_count == 2);
  CHECK(again.certificates[0].outcome == EnrolOutcome::refused);
  CHECK(again.certificates[0].error.code == EACCES);
  CHECK(again.certificates[0].error.message.starts_with(stranger.certificate.path + ": "));
  CHECK(again.certificates[0].error.hint.find("only a boot opens it") != std::string::npos);
  CHECK(again.certificates[1].outcome == EnrolOutcome::present);
}

TEST_CASE("deny_to_enrol_what_the_kernel_does_not_take_and_close_the_keyring_all_the_same",
          "[vm][keyring]") {
  const test::Signer good = make_signer(), stranger = make_signer();
  Certificate bad = make_signer().certificate;
  bad.path = "bad-certificate.pem";
  bad.der.back() ^= 1;  // in its signature
  const OwnRing ring;
  const auto enrolment = enrolled(ring.serial, {bad, good.certificate});
  CHECK(enrolment.certificates[0].outcome == EnrolOutcome::refused);
  CHECK(enrolment.certificates[0].error.message.starts_with("bad-certificate.pem: "));
  CHECK(enrolment.certificates[0].error.code != 0);
  CHECK(enrolment.certificates[1].outcome == EnrolOutcome::added);
  CHECK(enrolment.key_count == 1);
  CHECK(add_to(ring.serial, stranger.certificate) == EACCES);
}

TEST_CASE("deny_to_enrol_into_a_keyring_that_others_have_restricted", "[vm][keyring]") {
  const test::Signer signer = make_signer();
  const OwnRing restricted, chained;
  REQUIRE(::keyctl_restrict_keyring(restricted.serial, nullptr, nullptr) == 0);
  REQUIRE(::keyctl_restrict_keyring(chained.serial, "asymmetric", "key_or_keyring:0:chain") == 0);
  for (const auto& [ring, error] : {std::pair{&restricted, EPERM}, {&chained, ENOKEY}}) {
    const auto enrolment = enrolled(ring->serial, {signer.certificate});
    CHECK(enrolment.certificates[0].outcome == EnrolOutcome::refused);
    CHECK(enrolment.certificates[0].error.code == error);
    CHECK(enrolment.was_closed);
    CHECK(enrolment.key_count == 0);
  }
  CHECK(keyring::enrol(0x7fff'ffff, std::vector{signer.certificate}).error().code == ENOKEY);
}

TEST_CASE("deny_who_was_not_enrolled_and_allow_who_was_in_a_closed_keyring", "[vm][keyring]") {
  Warden warden;
  warden.apply("enforce",
               "[[rules]]\nname = \"team\"\nallow = [\"xdp\"]\nsigned-by = [\"netops\"]\n");
  const OwnRing ring;
  const Load signed_here = Load{}.signed_by(warden.netops(), ring.serial);
  CHECK(load(signed_here).error == ENOKEY);
  CHECK(enrolled(ring.serial, {warden.netops().certificate}).key_count == 1);
  CHECK(load(signed_here).error == 0);
  CHECK(load(Load{}.signed_by(warden.stranger(), ring.serial)).error == ENOKEY);
}

// No kernel here has the keyring: what the command says there.
TEST_CASE("deny_to_enrol_where_there_is_no_such_keyring", "[vm][keyring]") {
  Warden warden;
  const std::string certificate = warden.netops().certificate_file;
  const Ran enrol = run("bpfwarden enrol " + certificate);
  INFO(enrol.output);
  CHECK(enrol.status == 1);
  CHECK(says(enrol, "error: this kernel has no keyring .bpf"));
  CHECK(says(enrol, "hint: use a kernel after Linux 7.3"));
  const Ran unread = run("bpfwarden enrol --list /etc/passwd " + certificate);
  INFO(unread.output);
  CHECK(unread.status == 2);
  CHECK(says(unread, "error: /etc/passwd: "));
  CHECK(says(unread, certificate));
  CHECK(run("bpfwarden enrol --list").status == 1);
  CHECK(run("bpfwarden run none --keyring frobnicate").status == 2);
}

TEST_CASE("deny_to_enforce_a_policy_of_a_keyring_that_is_not_there_and_allow_it_in_audit_mode",
          "[vm][keyring]") {
  Warden warden;
  const std::string keys =
      "[keys.later]\nkeyring = \"bpf\"\n[[rules]]\nname = \"team\"\nallow = [\"xdp\"]\n"
      "signed-by = [\"later\"]\n";
  warden.apply("audit", "[[rules]]\nname = \"all\"\nallow = [\"*\"]\nsignature = \"unsigned\"\n");
  const uint64_t next = warden.raise_version();
  const Ran enforced = warden.try_apply("enforce", keys, next);
  INFO(enforced.output);
  CHECK(enforced.status == 1);
  CHECK(
      says(enforced, "error: nothing is ever signed by `later` here: this kernel has no keyring"));
  CHECK(says(enforced, "nothing was changed"));
  CHECK(run("bpfwarden enrol --saved --list").status == 0);  // the confirmed one has none of it
  const Ran audit = warden.try_apply("audit", keys, next);
  INFO(audit.output);
  CHECK(audit.status == 0);
  CHECK(says(audit, "[weaker-kernel]"));
  CHECK(run("bpfwarden enrol --saved --list").status == 1);  // it is wanted, and no file is there
}

}  // namespace bpfwarden::vm
