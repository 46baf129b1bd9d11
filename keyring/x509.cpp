#include "keyring/x509.h"

#include <openssl/crypto.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>

#include <cstdlib>
#include <ctime>

#include "base/file.h"
#include "keyring/kernel_parser.h"
#include "keyring/openssl.h"

namespace bpfwarden::keyring {
namespace {

constexpr size_t max_certificate_size = 1 << 20;
constexpr const char* kernel_can =
    "the kernel verifies with RSA of 512, 1024, 1536, 2048, 3072 or 4096 bits, ECDSA on the NIST "
    "curves P-192, P-256, P-384 and P-521 (uncompressed points), EC-RDSA, and newer kernels with "
    "ML-DSA";

struct KernelName {
  std::string_view oid;
  std::string_view name;
};
constexpr std::string_view ec_public_key = "1.2.840.10045.2.1";
constexpr KernelName key_names[] = {
    {"1.2.840.113549.1.1.1", "rsa"},        {"1.2.643.7.1.1.1.1", "ecrdsa"},
    {"1.2.643.7.1.1.1.2", "ecrdsa"},        {"2.16.840.1.101.3.4.3.17", "mldsa44"},
    {"2.16.840.1.101.3.4.3.18", "mldsa65"}, {"2.16.840.1.101.3.4.3.19", "mldsa87"},
};
constexpr KernelName curve_names[] = {
    {"1.2.840.10045.3.1.1", "ecdsa-nist-p192"},
    {"1.2.840.10045.3.1.7", "ecdsa-nist-p256"},
    {"1.3.132.0.34", "ecdsa-nist-p384"},
    {"1.3.132.0.35", "ecdsa-nist-p521"},
};

std::string oid_text(const ASN1_OBJECT* object) {
  char text[128] = "";
  OBJ_obj2txt(text, sizeof(text), object, 1);
  return text;
}

std::string name_text(const X509_NAME* name) {
  const BioPtr out(BIO_new(BIO_s_mem()));
  if (!out || X509_NAME_print_ex(out.get(), name, 0, XN_FLAG_RFC2253) < 0) return {};
  std::string text(BIO_ctrl_pending(out.get()), '\0');
  if (BIO_read(out.get(), text.data(), static_cast<int>(text.size())) < 0) text.clear();
  return text;
}

std::string serial_text(const X509* cert) {
  const BignumPtr number(ASN1_INTEGER_to_BN(X509_get0_serialNumber(cert), nullptr));
  const std::unique_ptr<char, FreeWith<[](char* text) { OPENSSL_free(text); }>> text(
      number ? BN_bn2hex(number.get()) : nullptr);
  return text ? text.get() : "";
}

Result<int64_t> unix_time(const ASN1_TIME* time) {
  std::tm utc = {};
  if (ASN1_TIME_to_tm(time, &utc) != 1) return fail_openssl("its validity dates are malformed");
  return ::timegm(&utc);
}

std::vector<uint8_t> octets(const ASN1_STRING* string) {
  if (string == nullptr) return {};
  const uint8_t* data = ASN1_STRING_get0_data(string);
  return {data, data + ASN1_STRING_length(string)};
}

// rsa_check_key_length() in crypto/rsa.c counts whole bytes of the modulus.
bool kernel_takes_rsa(unsigned bits) {
  const unsigned bytes = (bits + 7) / 8;
  return bytes == 64 || bytes == 128 || bytes == 192 || bytes == 256 || bytes == 384 ||
         bytes == 512;
}

Result<std::string> kernel_algorithm(const X509* cert, const Certificate& facts) {
  ASN1_OBJECT* algorithm = nullptr;
  X509_ALGOR* identifier = nullptr;
  X509_PUBKEY_get0_param(&algorithm, nullptr, nullptr, &identifier, X509_get_X509_PUBKEY(cert));
  int kind = 0;
  const void* parameter = nullptr;
  X509_ALGOR_get0(nullptr, &kind, &parameter, identifier);

  std::string oid = oid_text(algorithm);
  std::span<const KernelName> names = key_names;
  bool usable = true;
  if (oid == ec_public_key && kind == V_ASN1_OBJECT) {
    oid = oid_text(static_cast<const ASN1_OBJECT*>(parameter));
    names = curve_names;
    usable = !facts.public_key.empty() && facts.public_key.front() == POINT_CONVERSION_UNCOMPRESSED;
  }
  for (const KernelName& known : names) {
    if (known.oid != oid) continue;
    if (known.name == "rsa") usable = kernel_takes_rsa(facts.bits);
    if (usable) return std::string(known.name);
  }
  const std::string size = facts.bits != 0 ? " of " + std::to_string(facts.bits) + " bits" : "";
  return fail("the kernel cannot verify with its key, algorithm " + oid + size, kernel_can);
}

Result<Certificate> describe(X509* cert, const std::string& path) {
  Certificate facts;
  facts.path = path;
  unsigned char* encoded = nullptr;
  const int length = i2d_X509(cert, &encoded);
  const std::unique_ptr<unsigned char, FreeWith<[](unsigned char* der) { OPENSSL_free(der); }>> der(
      encoded);
  if (length < 0) return fail_openssl("it cannot be encoded as DER");
  facts.der.assign(encoded, encoded + length);
  facts.fingerprint = sha256(facts.der);
  facts.subject = name_text(X509_get_subject_name(cert));
  facts.issuer = name_text(X509_get_issuer_name(cert));
  facts.serial_hex = serial_text(cert);
  // The key usage of a certificate that names none is any: UINT32_MAX.
  facts.is_ca = (X509_get_extension_flags(cert) & EXFLAG_CA) != 0 &&
                (X509_get_key_usage(cert) & KU_KEY_CERT_SIGN) != 0;
  facts.subject_key_id = octets(X509_get0_subject_key_id(cert));
  facts.public_key = octets(X509_get0_pubkey_bitstr(cert));
  facts.key_digest = sha256(facts.public_key);
  if (const EVP_PKEY* key = X509_get0_pubkey(cert))
    facts.bits = static_cast<unsigned>(EVP_PKEY_get_bits(key));
  ERR_clear_error();  // an algorithm OpenSSL lacks, such as ML-DSA on 3.0, may be the kernel's

  const auto from = unix_time(X509_get0_notBefore(cert));
  if (!from) return std::unexpected(from.error());
  const auto until = unix_time(X509_get0_notAfter(cert));
  if (!until) return std::unexpected(until.error());
  facts.not_before = *from;
  facts.not_after = *until;
  auto algorithm = kernel_algorithm(cert, facts);
  if (!algorithm) return std::unexpected(std::move(algorithm.error()));
  facts.kernel_algorithm = std::move(*algorithm);
  if (Status taken = require_parsed_by_kernel(cert); !taken)
    return std::unexpected(std::move(taken).error());
  return facts;
}

// OpenSSL asks on the terminal unless given a callback.
int refuse_passphrase(char*, int, int, void*) { return -1; }

Result<std::vector<X509Ptr>> parse_pem(std::span<const uint8_t> bytes) {
  const BioPtr in = read_bio(bytes);
  std::vector<X509Ptr> certs;
  ERR_clear_error();
  while (X509* cert = PEM_read_bio_X509(in.get(), nullptr, refuse_passphrase, nullptr))
    certs.emplace_back(cert);
  const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  if (!at_end || certs.empty())
    return unreadable(
        fail_openssl("certificate " + std::to_string(certs.size() + 1) + " is not valid PEM",
                     "give an X.509 certificate, PEM or DER"));
  ERR_clear_error();
  return certs;
}

Result<std::vector<X509Ptr>> parse_certificates(std::span<const uint8_t> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (text.find("-----BEGIN ") != std::string_view::npos) return parse_pem(bytes);
  std::vector<X509Ptr> certs;
  certs.push_back(from_der<X509Ptr, d2i_X509>(bytes));
  if (!certs.front())
    return unreadable(
        fail_openssl("not an X.509 certificate", "give an X.509 certificate, PEM or DER"));
  return certs;
}

}  // namespace

Digest sha256(std::span<const uint8_t> bytes) {
  Digest digest;
  if (SHA256(bytes.data(), bytes.size(), digest.data()) == nullptr) std::abort();
  return digest;
}

std::string base64(std::span<const uint8_t> bytes) {
  std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');  // EVP_EncodeBlock() ends it with NUL
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), bytes.data(),
                                   static_cast<int>(bytes.size()));
  text.resize(static_cast<size_t>(size));
  return text;
}

Result<std::vector<Certificate>> parse_certificates(std::span<const uint8_t> bytes,
                                                    const std::string& name) {
  auto certs = parse_certificates(bytes);
  if (!certs) return std::unexpected(std::move(certs.error()).within(name));
  std::vector<Certificate> described;
  for (const X509Ptr& cert : *certs) {
    auto facts = describe(cert.get(), name);
    if (!facts) {
      const std::string which = "certificate " + std::to_string(described.size() + 1);
      return std::unexpected(std::move(facts.error()).within(which).within(name));
    }
    described.push_back(std::move(*facts));
  }
  return described;
}

Result<std::vector<Certificate>> read_certificates(const std::filesystem::path& path) {
  const auto bytes = read_file(path, max_certificate_size);
  if (!bytes) return unreadable(bytes.error());
  return parse_certificates(*bytes, path.string());
}

}  // namespace bpfwarden::keyring
