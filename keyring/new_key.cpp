#include "keyring/new_key.h"

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include <algorithm>

#include "keyring/openssl.h"

namespace bpfwarden::keyring {
namespace {

using KeyPtr = std::unique_ptr<EVP_PKEY, FreeWith<EVP_PKEY_free>>;
using RequestPtr = std::unique_ptr<X509_REQ, FreeWith<X509_REQ_free>>;
using ExtensionPtr = std::unique_ptr<X509_EXTENSION, FreeWith<X509_EXTENSION_free>>;
using ExtensionsPtr =
    std::unique_ptr<STACK_OF(X509_EXTENSION), FreeWith<[](STACK_OF(X509_EXTENSION) * all) {
                      sk_X509_EXTENSION_pop_free(all, X509_EXTENSION_free);
                    }>>;

struct Extension {
  int nid;
  const char* value;
};
constexpr Extension extensions[] = {
    {NID_basic_constraints, "critical,CA:FALSE"},
    {NID_key_usage, "critical,digitalSignature"},
    {NID_ext_key_usage, "codeSigning"},
    {NID_subject_key_identifier, "hash"},
};

KeyPtr generate_rsa(size_t bits) {
  return KeyPtr(EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", bits));
}

KeyPtr generate_curve(const char* name) {
  return KeyPtr(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", name));
}

KeyPtr generate(KeyType type) {
  switch (type) {
    case KeyType::ecdsa_p256:
      return generate_curve("P-256");
    case KeyType::ecdsa_p384:
      return generate_curve("P-384");
    case KeyType::ecdsa_p521:
      return generate_curve("P-521");
    case KeyType::rsa_2048:
      return generate_rsa(2048);
    case KeyType::rsa_4096:
      return generate_rsa(4096);
  }
  return nullptr;
}

bool set_name(X509_NAME* name, const std::string& text) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
  return X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, bytes, static_cast<int>(text.size()),
                                    -1, 0) == 1;
}

// 159 random bits: positive, and never two alike (RFC 5280, 4.1.2.2).
bool set_serial(X509* certificate) {
  const BignumPtr number(BN_new());
  return number && BN_rand(number.get(), 159, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) == 1 &&
         BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr;
}

ExtensionPtr make_extension(X509V3_CTX& context, const Extension& wanted) {
  return ExtensionPtr(X509V3_EXT_conf_nid(nullptr, &context, wanted.nid, wanted.value));
}

std::string take(const BioPtr& bio) {
  std::string text(BIO_ctrl_pending(bio.get()), '\0');
  if (BIO_read(bio.get(), text.data(), static_cast<int>(text.size())) < 0) text.clear();
  return text;
}

// Empty on failure, as are those below.
std::string self_signed(const NewKey& wanted, EVP_PKEY* key) {
  constexpr long day = 86'400;
  const X509Ptr certificate(X509_new());
  X509* made = certificate.get();
  if (made == nullptr || X509_set_version(made, X509_VERSION_3) != 1 || !set_serial(made) ||
      !set_name(X509_get_subject_name(made), wanted.common_name) ||
      X509_set_issuer_name(made, X509_get_subject_name(made)) != 1 ||
      X509_gmtime_adj(X509_getm_notBefore(made), 0) == nullptr ||
      X509_gmtime_adj(X509_getm_notAfter(made), day * wanted.days) == nullptr ||
      X509_set_pubkey(made, key) != 1)
    return {};
  X509V3_CTX context = {};
  X509V3_set_ctx(&context, made, made, nullptr, nullptr, 0);
  for (const Extension& one : extensions) {
    const ExtensionPtr extension = make_extension(context, one);
    if (!extension || X509_add_ext(made, extension.get(), -1) != 1) return {};
  }
  const BioPtr out(BIO_new(BIO_s_mem()));
  if (X509_sign(made, key, EVP_sha256()) == 0 || !out || PEM_write_bio_X509(out.get(), made) != 1)
    return {};
  return take(out);
}

std::string request(const NewKey& wanted, EVP_PKEY* key) {
  const RequestPtr made(X509_REQ_new());
  if (!made || X509_REQ_set_version(made.get(), X509_REQ_VERSION_1) != 1 ||
      !set_name(X509_REQ_get_subject_name(made.get()), wanted.common_name) ||
      X509_REQ_set_pubkey(made.get(), key) != 1)
    return {};
  X509V3_CTX context = {};
  X509V3_set_ctx(&context, nullptr, nullptr, made.get(), nullptr, 0);
  const ExtensionsPtr all(sk_X509_EXTENSION_new_null());
  for (const Extension& one : extensions) {
    ExtensionPtr extension = make_extension(context, one);
    if (!extension || sk_X509_EXTENSION_push(all.get(), extension.get()) == 0) return {};
    static_cast<void>(extension.release());  // the stack owns it
  }
  const BioPtr out(BIO_new(BIO_s_mem()));
  if (X509_REQ_add_extensions(made.get(), all.get()) != 1 ||
      X509_REQ_sign(made.get(), key, EVP_sha256()) == 0 || !out ||
      PEM_write_bio_X509_REQ(out.get(), made.get()) != 1)
    return {};
  return take(out);
}

std::string private_pem(const NewKey& wanted, EVP_PKEY* key) {
  const BioPtr out(BIO_new(BIO_s_secmem()));
  const EVP_CIPHER* cipher = wanted.passphrase.empty() ? nullptr : EVP_aes_256_cbc();
  if (!out || PEM_write_bio_PKCS8PrivateKey(out.get(), key, cipher, wanted.passphrase.data(),
                                            static_cast<int>(wanted.passphrase.size()), nullptr,
                                            nullptr) != 1)
    return {};
  return take(out);
}

bool is_printable(const std::string& text) {
  return std::ranges::all_of(text, [](char c) { return c >= 0x20 && c <= 0x7e; });
}

}  // namespace

Result<NewKeyFiles> make_key(const NewKey& wanted) {
  constexpr size_t max_common_name = 64;  // ub-common-name, RFC 5280 appendix A
  const std::string& name = wanted.common_name;
  if (name.empty() || name.size() > max_common_name || !is_printable(name))
    return fail("a name has 1 to 64 printable ASCII characters");
  ERR_clear_error();
  const KeyPtr key = generate(wanted.type);
  if (!key) return fail_openssl("cannot generate a key");
  NewKeyFiles files = {.key = private_pem(wanted, key.get()),
                       .certificate = wanted.is_request ? request(wanted, key.get())
                                                        : self_signed(wanted, key.get())};
  if (files.key.empty() || files.certificate.empty())
    return fail_openssl("cannot make the certificate");
  return files;
}

}  // namespace bpfwarden::keyring
