// The sealed keyring and the signatures, against a real kernel. Needs root in a guest.
//
// "open" is the positive control: a ring of the same content that was not sealed, on which every
// operation denied on the sealed one succeeds.
#include "keyring/kernel_keyring.h"

#include <keyutils.h>
#include <linux/bpf.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <cerrno>

#include "keyring/cms.h"
#include "keyring/cms_chain.h"
#include "loader/btf/kernel_has.h"
#include "tests/unit/keyring/test_signer.h"

namespace bpfwarden::keyring {
namespace {

constexpr const char* ring_name = "bpfwarden:test";
constexpr key_perm_t everything = KEY_POS_ALL | KEY_USR_ALL;

using test::make_signer;
using test::Signer;

int error_of(long result) { return result < 0 ? errno : 0; }

KeySerial add(const Certificate& cert, const char* description, KeySerial ring) {
  return ::add_key("asymmetric", description, cert.der.data(), cert.der.size(), ring);
}

KeySerial make_open_ring() {
  return ::add_key("keyring", "open", nullptr, 0, KEY_SPEC_PROCESS_KEYRING);
}

struct Rings {
  Signer signer = make_signer();
  KeySerial sealed = create_sealed_ring(ring_name, {&signer.certificate, 1}).value();
  KeySerial sealed_key = find_key(sealed, signer.certificate).value();
  KeySerial open = make_open_ring();
  KeySerial open_key = add(signer.certificate, "open key", open);

  Rings() {
    REQUIRE(open > 0);
    REQUIRE(open_key > 0);
    REQUIRE(::keyctl_setperm(open, everything) == 0);
    REQUIRE(::keyctl_setperm(open_key, everything) == 0);
  }
  [[nodiscard]] std::span<const Certificate> trusted() const { return {&signer.certificate, 1}; }

  Rings(const Rings&) = delete;
  Rings& operator=(const Rings&) = delete;
  ~Rings() {
    ::keyctl_unlink(sealed, KEY_SPEC_PROCESS_KEYRING);
    ::keyctl_unlink(open, KEY_SPEC_PROCESS_KEYRING);
  }
};

TEST_CASE("allow_reading_a_sealed_ring", "[vm][keyring]") {
  const Rings rings;
  CHECK(ring_keys(rings.sealed).value() == std::vector{rings.sealed_key});
  const Signer stranger = make_signer();
  const auto missing = find_key(rings.sealed, stranger.certificate);
  REQUIRE_FALSE(missing);
  CHECK(missing.error().code == ENOKEY);
}

TEST_CASE("deny_adding_to_a_sealed_ring", "[vm][keyring]") {
  const Rings rings;
  const Signer stranger = make_signer();
  CHECK(error_of(add(stranger.certificate, "new", rings.open)) == 0);
  CHECK(error_of(add(stranger.certificate, "new", rings.sealed)) == EACCES);
  CHECK(error_of(::keyctl_link(rings.sealed_key, rings.open)) == 0);
  CHECK(error_of(::keyctl_link(rings.open_key, rings.sealed)) == EACCES);
  CHECK(ring_keys(rings.sealed).value() == std::vector{rings.sealed_key});
}

// The second lock: the restriction alone holds where someone has the write permission.
TEST_CASE("deny_adding_to_a_restricted_ring_with_write_permission", "[vm][keyring]") {
  const Rings rings;
  const Signer stranger = make_signer();
  CHECK(error_of(add(stranger.certificate, "before", rings.open)) == 0);
  REQUIRE(::keyctl_restrict_keyring(rings.open, nullptr, nullptr) == 0);
  CHECK(error_of(add(stranger.certificate, "after", rings.open)) == EPERM);
  CHECK(error_of(::keyctl_restrict_keyring(rings.open, nullptr, nullptr)) == EEXIST);
}

TEST_CASE("deny_removing_from_a_sealed_ring", "[vm][keyring]") {
  const Rings rings;
  CHECK(error_of(::keyctl_unlink(rings.sealed_key, rings.sealed)) == EACCES);
  CHECK(error_of(::keyctl_move(rings.sealed_key, rings.sealed, rings.open, 0)) == EACCES);
  CHECK(error_of(::keyctl_clear(rings.sealed)) == EACCES);
  CHECK(ring_keys(rings.sealed).value() == std::vector{rings.sealed_key});
  CHECK(error_of(::keyctl_move(rings.open_key, rings.open, KEY_SPEC_PROCESS_KEYRING, 0)) == 0);
  CHECK(error_of(::keyctl_unlink(rings.open_key, KEY_SPEC_PROCESS_KEYRING)) == 0);
  CHECK(error_of(::keyctl_clear(rings.open)) == 0);
}

TEST_CASE("deny_changing_the_attributes_of_a_sealed_ring_or_key", "[vm][keyring]") {
  const Rings rings;
  const bool of_key = GENERATE(false, true);
  const KeySerial sealed = of_key ? rings.sealed_key : rings.sealed;
  const KeySerial open = of_key ? rings.open_key : rings.open;
  CHECK(error_of(::keyctl_setperm(sealed, everything)) == EACCES);
  CHECK(error_of(::keyctl_setperm(open, everything)) == 0);
  CHECK(error_of(::keyctl_chown(sealed, 1000, static_cast<gid_t>(-1))) == EACCES);
  CHECK(error_of(::keyctl_chown(open, 0, 1000)) == 0);
  CHECK(error_of(::keyctl_set_timeout(sealed, 1)) == EACCES);
  CHECK(error_of(::keyctl_set_timeout(open, 1000)) == 0);
  CHECK(error_of(::keyctl_revoke(sealed)) == EACCES);
  CHECK(error_of(::keyctl_revoke(open)) == 0);
}

TEST_CASE("deny_unrestricting_a_sealed_ring", "[vm][keyring]") {
  const Rings rings;
  CHECK(error_of(::keyctl_restrict_keyring(rings.sealed, "asymmetric", "builtin_trusted")) ==
        EACCES);
  CHECK(error_of(::keyctl_restrict_keyring(rings.open, "asymmetric", "builtin_trusted")) == 0);
}

// What the search permission leaves to root. It only takes trust away.
TEST_CASE("allow_invalidating_a_sealed_key_which_ends_its_trust", "[vm][keyring]") {
  const Rings rings;
  CHECK(error_of(::keyctl_invalidate(rings.sealed_key)) == 0);
  CHECK_FALSE(find_key(rings.sealed, rings.signer.certificate));
  CHECK(error_of(add(rings.signer.certificate, "again", rings.sealed)) == EACCES);
}

TEST_CASE("allow_a_published_ring_to_outlive_its_maker", "[vm][keyring]") {
  const Signer signer = make_signer();
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    const auto ring = create_sealed_ring(ring_name, {&signer.certificate, 1});
    ::_exit(ring && publish_ring(*ring) ? 0 : 1);
  }
  int status = -1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(status == 0);
  const auto ring = find_ring(ring_name);
  REQUIRE(ring);
  CHECK(find_key(*ring, signer.certificate));
  CHECK(error_of(::keyctl_clear(*ring)) == EACCES);

  REQUIRE(drop_ring(ring_name));
  CHECK(find_ring(ring_name).error().code == ENOKEY);
  CHECK(drop_ring(ring_name).error().code == ENOKEY);
}

TEST_CASE("allow_replacing_a_published_ring", "[vm][keyring]") {
  const Signer old_signer = make_signer();
  const Signer new_signer = make_signer();
  const KeySerial first = create_sealed_ring(ring_name, {&old_signer.certificate, 1}).value();
  REQUIRE(publish_ring(first));
  const KeySerial second = create_sealed_ring(ring_name, {&new_signer.certificate, 1}).value();
  CHECK(find_ring(ring_name).value() == first);
  REQUIRE(publish_ring(second));
  CHECK(find_ring(ring_name).value() == second);
  CHECK_FALSE(find_key(second, old_signer.certificate));
  CHECK(find_key(second, new_signer.certificate));
  const auto published = ring_keys(KEY_SPEC_USER_KEYRING).value();
  CHECK(std::ranges::count(published, first) == 0);
  REQUIRE(drop_ring(ring_name));
}

TEST_CASE("allow_linking_a_ring_into_the_session", "[vm][keyring]") {
  const Rings rings;
  REQUIRE(link_into_session(rings.sealed));
  CHECK(::keyctl_unlink(rings.sealed, KEY_SPEC_SESSION_KEYRING) == 0);
}

TEST_CASE("deny_a_certificate_the_kernel_cannot_parse_and_leave_nothing", "[vm][keyring]") {
  const Signer good = make_signer();
  std::vector<Certificate> certs = {good.certificate, make_signer().certificate};
  certs[1].der.resize(40);
  const auto before = ring_keys(KEY_SPEC_PROCESS_KEYRING);
  const auto ring = create_sealed_ring("bpfwarden:half", certs);
  REQUIRE_FALSE(ring);
  CHECK(ring.error().code == EBADMSG);
  CHECK_FALSE(ring.error().hint.empty());
  CHECK(ring_keys(KEY_SPEC_PROCESS_KEYRING).value().size() == (before ? before->size() : 0));
  certs.pop_back();
  const auto whole = create_sealed_ring("bpfwarden:half", certs);
  REQUIRE(whole);
  CHECK(::keyctl_unlink(*whole, KEY_SPEC_PROCESS_KEYRING) == 0);
}

const std::vector<uint8_t> return_zero = {0xb7, 0, 0, 0, 0, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0};

// Loads `insns` as a socket filter: 0, or the errno.
int load(std::span<const uint8_t> insns, std::span<const uint8_t> signature, KeySerial ring) {
  union bpf_attr attr = {};
  attr.prog_type = BPF_PROG_TYPE_SOCKET_FILTER;
  attr.insn_cnt = static_cast<uint32_t>(insns.size() / 8);
  attr.insns = reinterpret_cast<uint64_t>(insns.data());
  attr.license = reinterpret_cast<uint64_t>("GPL");
  attr.signature = reinterpret_cast<uint64_t>(signature.data());
  attr.signature_size = static_cast<uint32_t>(signature.size());
  attr.keyring_id = signature.empty() ? 0 : ring;
  const long fd = ::syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));
  const int error = error_of(fd);
  if (fd >= 0) ::close(static_cast<int>(fd));
  return error;
}

// Likewise, and `bpfwarden verify` must say the same of it: that one of the certificates which are
// in the ring vouches for it, or that none does.
int load_as_verified(std::span<const uint8_t> insns, std::span<const uint8_t> signature,
                     KeySerial ring, std::span<const Certificate> in_ring) {
  const int error = load(insns, signature, ring);
  CHECK((error == 0) == verify_chain(insns, signature, in_ring).has_value());
  return error;
}

std::vector<uint8_t> sign(const Signer& signer) {
  return sign_detached(return_zero, signer.key, signer.certificate).value();
}

void skip_without_signatures() {
  if (BW_KERNEL_HAS(signature_attr)) return;
  // The fields are unknown, and E2BIG says that they are not zero.
  const std::vector<uint8_t> garbage(16);
  REQUIRE(load(return_zero, garbage, KEY_SPEC_SESSION_KEYRING) == E2BIG);
  SKIP("this kernel does not know signed BPF programs");
}

TEST_CASE("allow_a_program_signed_by_a_key_in_the_ring",
          "[vm][keyring][kernel][signing][kernel:signature_attr]") {
  skip_without_signatures();
  using test::KeyType;
  const auto options = GENERATE(test::CertificateOptions{.type = KeyType::rsa2048},
                                test::CertificateOptions{.type = KeyType::p256},
                                test::CertificateOptions{.type = KeyType::p384},
                                // The kernel does not look at dates.
                                test::CertificateOptions{.ends = -60});
  const Signer signer = make_signer(options);
  const KeySerial ring = create_sealed_ring(ring_name, {&signer.certificate, 1}).value();
  CHECK(load_as_verified(return_zero, sign(signer), ring, {&signer.certificate, 1}) == 0);
  CHECK(::keyctl_unlink(ring, KEY_SPEC_PROCESS_KEYRING) == 0);
}

TEST_CASE("deny_a_program_that_was_changed_or_signed_by_another_key",
          "[vm][keyring][kernel][signing][kernel:signature_attr]") {
  skip_without_signatures();
  const Rings rings;
  const auto signature = sign(rings.signer);
  CHECK(load_as_verified(return_zero, signature, rings.sealed, rings.trusted()) == 0);
  auto changed = return_zero;
  changed[4] = 1;
  CHECK(load_as_verified(changed, signature, rings.sealed, rings.trusted()) == EKEYREJECTED);
  CHECK(load_as_verified(return_zero, sign(make_signer()), rings.sealed, rings.trusted()) ==
        ENOKEY);
}

TEST_CASE("deny_a_program_whose_key_was_invalidated",
          "[vm][keyring][kernel][signing][kernel:signature_attr]") {
  skip_without_signatures();
  const Rings rings;
  const auto signature = sign(rings.signer);
  CHECK(load_as_verified(return_zero, signature, rings.sealed, rings.trusted()) == 0);
  REQUIRE(::keyctl_invalidate(rings.sealed_key) == 0);
  // EKEYREVOKED until the kernel's garbage collector has taken the key out of the ring.
  for (int i = 0; i < 1000 && !ring_keys(rings.sealed).value().empty(); ++i) ::usleep(10'000);
  CHECK(load_as_verified(return_zero, signature, rings.sealed, {}) == ENOKEY);
}

TEST_CASE("deny_a_program_whose_ring_was_invalidated",
          "[vm][keyring][kernel][kernel:signature_attr]") {
  skip_without_signatures();
  const Rings rings;
  const auto signature = sign(rings.signer);
  CHECK(load_as_verified(return_zero, signature, rings.sealed, rings.trusted()) == 0);
  REQUIRE(::keyctl_invalidate(rings.sealed) == 0);
  const int error = load_as_verified(return_zero, signature, rings.sealed, {});
  CHECK((error == ENOKEY || error == EINVAL));  // EINVAL once the garbage collector has been
}

}  // namespace
}  // namespace bpfwarden::keyring
