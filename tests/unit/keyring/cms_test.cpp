#include "keyring/cms.h"

#include <openssl/cms.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include "tests/unit/keyring/test_signer.h"

namespace bpfwarden::keyring {
namespace {

using test::KeyType;

using test::make_signer;
using test::Signer;

const std::vector<uint8_t> content = {0xb7, 0, 0, 0, 7, 0, 0,    0,   0x95,
                                      0,    0, 0, 0, 0, 0, '\r', '\n'};

// A signature of two signers, or one with the content inside, which sign_detached() never makes.
std::vector<uint8_t> sign_otherwise(std::initializer_list<const test::TestKey*> signers,
                                    unsigned flags) {
  const test::BioPtr in(BIO_new_mem_buf(content.data(), static_cast<int>(content.size())));
  const std::unique_ptr<CMS_ContentInfo, test::FreeWith<CMS_ContentInfo_free>> cms(
      test::require(CMS_sign(nullptr, nullptr, nullptr, nullptr, flags | CMS_PARTIAL)));
  for (const test::TestKey* signer : signers)
    test::require(CMS_add1_signer(cms.get(), signer->cert.get(), signer->key.get(), EVP_sha256(),
                                  flags | CMS_USE_KEYID));
  test::require(CMS_final(cms.get(), in.get(), nullptr, flags));
  unsigned char* der = nullptr;
  const int length = i2d_CMS_ContentInfo(cms.get(), &der);
  std::vector<uint8_t> bytes(der, der + test::require(length));
  OPENSSL_free(der);
  return bytes;
}

Certificate certificate_of(const test::TestKey& made) {
  const test::TempDir dir;
  return read_certificates(dir.write("cert.pem", test::certificate_pem(made))).value().front();
}

TEST_CASE("what is signed verifies", "[keyring][cms]") {
  const auto type = GENERATE(KeyType::rsa2048, KeyType::p256, KeyType::p384);
  const Signer signer = make_signer({.type = type});
  const auto signature = sign_detached(content, signer.key, signer.certificate);
  REQUIRE(signature);
  CHECK(verify_detached(content, *signature, signer.certificate));

  const auto info = inspect_cms(*signature);
  REQUIRE(info);
  CHECK(info->signers == 1);
  CHECK(info->subject_key_id == signer.certificate.subject_key_id);
  CHECK(info->digest_algorithm == "sha256");
}

TEST_CASE("a signature carries no certificate and no attribute", "[keyring][cms]") {
  const Signer signer = make_signer({.type = KeyType::rsa2048});
  const auto signature = sign_detached(content, signer.key, signer.certificate);
  REQUIRE(signature);
  CHECK(signature->size() < 256 + 128);  // RSA-2048's 256 bytes and little besides
}

TEST_CASE("an expired certificate signs and verifies, as in the kernel", "[keyring][cms]") {
  const Signer signer = make_signer({.ends = -60});
  const auto signature = sign_detached(content, signer.key, signer.certificate);
  REQUIRE(signature);
  CHECK(verify_detached(content, *signature, signer.certificate));
}

TEST_CASE("empty content can be signed", "[keyring][cms]") {
  const Signer signer = make_signer();
  const auto signature = sign_detached({}, signer.key, signer.certificate);
  REQUIRE(signature);
  CHECK(verify_detached({}, *signature, signer.certificate));
  CHECK_FALSE(verify_detached(content, *signature, signer.certificate));
}

TEST_CASE("changed content and changed signatures do not verify", "[keyring][cms]") {
  const Signer signer = make_signer();
  const auto signature = sign_detached(content, signer.key, signer.certificate);
  REQUIRE(signature);
  auto changed = content;
  changed.back() ^= 1;
  CHECK_FALSE(verify_detached(changed, *signature, signer.certificate));
  for (size_t i = 0; i < signature->size(); ++i) {
    auto bent = *signature;
    bent[i] ^= 0x40;
    static_cast<void>(inspect_cms(bent));
    static_cast<void>(verify_detached(content, bent, signer.certificate));
    static_cast<void>(inspect_cms(std::span(*signature).first(i)));
  }
  auto last = *signature;
  last.back() ^= 1;
  CHECK_FALSE(verify_detached(content, last, signer.certificate));
}

TEST_CASE("another certificate does not verify", "[keyring][cms]") {
  const Signer signer = make_signer();
  const Signer other = make_signer();
  const auto signature = sign_detached(content, signer.key, signer.certificate);
  REQUIRE(signature);
  CHECK_FALSE(verify_detached(content, *signature, other.certificate));
}

TEST_CASE("a key and a certificate must be a pair", "[keyring][cms]") {
  const Signer signer = make_signer();
  const Signer other = make_signer();
  const auto signature = sign_detached(content, signer.key, other.certificate);
  REQUIRE_FALSE(signature);
  CHECK(signature.error().message.find("does not belong") != std::string::npos);
}

TEST_CASE("a signer needs a subject key id", "[keyring][cms]") {
  const Signer signer = make_signer({.subject_key_id = false});
  const auto signature = sign_detached(content, signer.key, signer.certificate);
  REQUIRE_FALSE(signature);
  CHECK(signature.error().message.find("subject key identifier") != std::string::npos);
}

TEST_CASE("two signers are counted and refused", "[keyring][cms]") {
  const auto first = test::make_key();
  const auto second = test::make_key();
  constexpr unsigned flags = CMS_DETACHED | CMS_BINARY | CMS_NOCERTS | CMS_NOATTR;
  const auto both = sign_otherwise({&first, &second}, flags);
  const auto info = inspect_cms(both);
  REQUIRE(info);
  CHECK(info->signers == 2);
  CHECK_FALSE(verify_detached(content, both, certificate_of(first)));
  CHECK(verify_detached(content, sign_otherwise({&first}, flags), certificate_of(first)));
}

TEST_CASE("content inside the signature is refused", "[keyring][cms]") {
  const auto made = test::make_key();
  const auto attached = sign_otherwise({&made}, CMS_BINARY | CMS_NOCERTS | CMS_NOATTR);
  const auto status = verify_detached(content, attached, certificate_of(made));
  REQUIRE_FALSE(status);
  CHECK(status.error().message.find("not detached") != std::string::npos);
}

TEST_CASE("garbage is no signature", "[keyring][cms]") {
  const Signer signer = make_signer();
  auto signature = sign_detached(content, signer.key, signer.certificate).value();
  signature.push_back(0);
  CHECK_FALSE(inspect_cms(signature));
  CHECK_FALSE(inspect_cms({}));
  CHECK_FALSE(inspect_cms(content));
  CHECK_FALSE(inspect_cms(signer.certificate.der));
  CHECK_FALSE(verify_detached(content, {}, signer.certificate));
}

}  // namespace
}  // namespace bpfwarden::keyring
