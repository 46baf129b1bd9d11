#include "keyring/x509.h"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include "tests/unit/keyring/test_keys.h"

namespace bpfwarden::keyring {
namespace {

using test::KeyType;
using test::make_key;

// Made with: openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -days 36500
//            -subj /O=Acme/CN=netops -set_serial 0x0102030405deadbeef
// What the test expects of it is what `openssl x509` and `openssl pkey` print.
constexpr const char* netops = R"(-----BEGIN CERTIFICATE-----
MIIBjTCCATKgAwIBAgIJAQIDBAXerb7vMAoGCCqGSM49BAMCMCAxDTALBgNVBAoM
BEFjbWUxDzANBgNVBAMMBm5ldG9wczAgFw0yNjExMjMyMzI5MzJaGA8yMTI2MTAz
MDIzMjkzMlowIDENMAsGA1UECgwEQWNtZTEPMA0GA1UEAwwGbmV0b3BzMFkwEwYH
KoZIzj0CAQYIKoZIzj0DAQcDQgAEWa1/JDwZmHUqEMgM/xQWtAXsSGJU5SFhdV2o
NF0O0SupCY04IQwwEJUU678FPybPNeeDCtGlyaBIDO7+7fHDu6NTMFEwHwYDVR0j
BBgwFoAUP3BxXVuTNt5FteYRCMXgcAd5Bv8wDwYDVR0TAQH/BAUwAwEB/zAdBgNV
HQ4EFgQUP3BxXVuTNt5FteYRCMXgcAd5Bv8wCgYIKoZIzj0EAwIDSQAwRgIhAKVn
Lb5tk+B6gsEqMDisUgubEJGH1HayuJjtWWmgo7U2AiEA6YMZOEubtEE215OPatiC
WGE9Hk0hK7i3wEdvrvocaOY=
-----END CERTIFICATE-----
)";

// i2d_PublicKey() gives what the kernel holds: RSAPublicKey, or the uncompressed EC point.
std::vector<uint8_t> public_key_of(const test::TestKey& made) {
  unsigned char* bytes = nullptr;
  const int length = i2d_PublicKey(made.key.get(), &bytes);
  std::vector<uint8_t> key(bytes, bytes + test::require(length));
  OPENSSL_free(bytes);
  return key;
}

Result<std::vector<Certificate>> read_text(const std::string& text) {
  const test::TempDir dir;
  return read_certificates(dir.write("cert", text));
}

TEST_CASE("a certificate is described as openssl describes it", "[keyring][x509]") {
  const auto certs = read_text(netops);
  REQUIRE(certs);
  REQUIRE(certs->size() == 1);
  const Certificate& cert = certs->front();
  CHECK(cert.subject == "CN=netops,O=Acme");
  CHECK(cert.issuer == cert.subject);
  CHECK(cert.serial_hex == "0102030405DEADBEEF");
  CHECK(hex(cert.fingerprint) ==
        "72b3d1d7e419c9c47e57135c2fccabb24f434a98afb89bd991e41dffc5b38d00");
  CHECK(hex(cert.subject_key_id) == "3f70715d5b9336de45b5e61108c5e070077906ff");
  CHECK(hex(cert.public_key) ==
        "0459ad7f243c1998752a10c80cff1416b405ec486254e52161755da8345d0ed12b"
        "a9098d38210c30109514ebbf053f26cf35e7830ad1a5c9a0480ceefeedf1c3bb");
  CHECK(cert.not_before == 1795476572);
  CHECK(cert.not_after == 4949076572);
  CHECK(cert.kernel_algorithm == "ecdsa-nist-p256");
  CHECK(cert.bits == 256);
  CHECK(cert.is_ca);
  CHECK(cert.path.ends_with("/cert"));
  CHECK(sha256(cert.der) == cert.fingerprint);
}

TEST_CASE("algorithm and public key are what the kernel will hold", "[keyring][x509]") {
  const auto [type, name, bits] = GENERATE_COPY(table<KeyType, const char*, unsigned>({
      {KeyType::rsa1024, "rsa", 1024},
      {KeyType::rsa2048, "rsa", 2048},
      {KeyType::p256, "ecdsa-nist-p256", 256},
      {KeyType::p384, "ecdsa-nist-p384", 384},
  }));
  const auto made = make_key({.type = type});
  const auto certs = read_text(test::certificate_pem(made));
  REQUIRE(certs);
  CHECK(certs->front().kernel_algorithm == name);
  CHECK(certs->front().bits == bits);
  CHECK(certs->front().public_key == public_key_of(made));
  CHECK_FALSE(certs->front().is_ca);
}

TEST_CASE("PEM and DER give the same certificate", "[keyring][x509]") {
  const auto made = make_key();
  const auto pem = read_text(test::certificate_pem(made));
  const auto der = read_text(test::certificate_der(made));
  REQUIRE(pem);
  REQUIRE(der);
  CHECK(pem->front().der == der->front().der);
  const std::string bytes(der->front().der.begin(), der->front().der.end());
  CHECK(bytes == test::certificate_der(made));
}

TEST_CASE("a PEM file may hold several certificates", "[keyring][x509]") {
  const auto first = make_key({.common_name = "first"});
  const auto second = make_key({.common_name = "second", .ends = -60});
  const auto certs = read_text("a comment\n" + test::certificate_pem(first) + test::key_pem(first) +
                               test::certificate_pem(second));
  REQUIRE(certs);
  REQUIRE(certs->size() == 2);
  CHECK((*certs)[0].subject == "CN=first");
  CHECK((*certs)[1].subject == "CN=second");
  CHECK((*certs)[1].not_after < ::time(nullptr));
}

TEST_CASE("a subject cannot drive a terminal", "[keyring][x509]") {
  const auto certs =
      read_text(test::certificate_pem(make_key({.common_name = "a\x1b[31mb\xc3\xa9"})));
  REQUIRE(certs);
  CHECK(certs->front().subject == "CN=a\\1B[31mb\\C3\\A9");
}

TEST_CASE("a certificate without a subject key id is read", "[keyring][x509]") {
  const auto certs = read_text(test::certificate_pem(make_key({.subject_key_id = false})));
  REQUIRE(certs);
  CHECK(certs->front().subject_key_id.empty());
}

TEST_CASE("an algorithm the kernel lacks is refused by name", "[keyring][x509]") {
  const auto ed25519 = read_text(test::certificate_pem(make_key({.type = KeyType::ed25519})));
  REQUIRE_FALSE(ed25519);
  CHECK(ed25519.error().message.find("1.3.101.112") != std::string::npos);
  CHECK(ed25519.error().hint.find("ECDSA") != std::string::npos);

  const auto odd_size = read_text(test::certificate_pem(make_key({.type = KeyType::rsa2304})));
  REQUIRE_FALSE(odd_size);
  CHECK(odd_size.error().message.find("2304 bits") != std::string::npos);
}

TEST_CASE("ML-DSA is known by its OID alone", "[keyring][x509]") {
  auto made = make_key();
  auto* key = static_cast<unsigned char*>(OPENSSL_zalloc(1952));
  test::require(X509_PUBKEY_set0_param(X509_get_X509_PUBKEY(made.cert.get()),
                                       OBJ_txt2obj("2.16.840.1.101.3.4.3.18", 1), V_ASN1_UNDEF,
                                       nullptr, key, 1952));
  test::require(X509_sign(made.cert.get(), made.key.get(), EVP_sha256()));
  const auto certs = read_text(test::certificate_pem(made));
  REQUIRE(certs);
  CHECK(certs->front().kernel_algorithm == "mldsa65");
  CHECK(certs->front().public_key.size() == 1952);
}

TEST_CASE("what is not a certificate is refused", "[keyring][x509]") {
  const std::string der = test::certificate_der(make_key());
  const std::string pem = test::certificate_pem(make_key());
  CHECK_FALSE(read_text(""));
  CHECK_FALSE(read_text("garbage"));
  CHECK_FALSE(read_text(std::string(4096, '\0')));
  CHECK_FALSE(read_text(der + "x"));
  CHECK_FALSE(read_text(der.substr(0, der.size() - 1)));
  CHECK_FALSE(read_text(pem.substr(0, pem.size() / 2)));
  CHECK_FALSE(read_text(pem + pem.substr(0, pem.size() / 2)));
  CHECK_FALSE(read_text(test::key_pem(make_key())));
  CHECK_FALSE(read_text(std::string((1 << 20) + 1, 'x')));
}

TEST_CASE("an unreadable file keeps its errno", "[keyring][x509]") {
  const test::TempDir dir;
  const auto missing = read_certificates(dir.path() / "none.pem");
  REQUIRE_FALSE(missing);
  CHECK(missing.error().code == ENOENT);
  CHECK(missing.error().message.find("none.pem") != std::string::npos);
  const auto directory = read_certificates(dir.path());
  REQUIRE_FALSE(directory);
  CHECK(directory.error().code == EISDIR);
}

TEST_CASE("hex and sha256", "[keyring][x509]") {
  const std::array<uint8_t, 3> abc = {'a', 'b', 'c'};
  CHECK(hex(abc) == "616263");
  CHECK(hex({}) == "");
  CHECK(hex(sha256(abc)) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(hex(sha256({})) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

}  // namespace
}  // namespace bpfwarden::keyring
