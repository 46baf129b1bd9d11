// Keys and certificates made on the spot, for tests. Failing OpenSSL calls throw.
#pragma once

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace bpfwarden::test {

template <auto Free>
struct FreeWith {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};

template <class T>
T require(T value) {
  if (!value) throw std::runtime_error("OpenSSL failed in test_keys.h");
  return value;
}

enum class KeyType { rsa1024, rsa2048, rsa2304, p256, p384, ed25519 };

struct CertificateOptions {
  KeyType type = KeyType::p256;
  const char* common_name = "bpfwarden test";
  bool subject_key_id = true;
  bool ca = false;
  long starts = -3600;  // seconds from now
  long ends = 86400;
  const char* key_usage = nullptr;  // as openssl.cnf has them
  const char* extended_key_usage = nullptr;
};

// A key and a certificate that it signed for itself.
struct TestKey {
  std::unique_ptr<EVP_PKEY, FreeWith<EVP_PKEY_free>> key;
  std::unique_ptr<X509, FreeWith<X509_free>> cert;
};

inline EVP_PKEY* generate(KeyType type) {
  switch (type) {
    case KeyType::rsa1024:
      return EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", size_t{1024});
    case KeyType::rsa2048:
      return EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", size_t{2048});
    case KeyType::rsa2304:
      return EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", size_t{2304});
    case KeyType::p256:
      return EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256");
    case KeyType::p384:
      return EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-384");
    case KeyType::ed25519:
      return EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519");
  }
  return nullptr;
}

inline void add_extension(X509* cert, int nid, const char* value) {
  X509V3_CTX context = {};
  X509V3_set_ctx(&context, cert, cert, nullptr, nullptr, 0);
  const std::unique_ptr<X509_EXTENSION, FreeWith<X509_EXTENSION_free>> extension(
      require(X509V3_EXT_conf_nid(nullptr, &context, nid, value)));
  require(X509_add_ext(cert, extension.get(), -1));
}

inline TestKey make_key(const CertificateOptions& options = {}) {
  TestKey made;
  made.key.reset(require(generate(options.type)));
  made.cert.reset(require(X509_new()));
  X509* cert = made.cert.get();
  require(X509_set_version(cert, X509_VERSION_3));
  require(ASN1_INTEGER_set(X509_get_serialNumber(cert), 0x1234ab));
  require(X509_gmtime_adj(X509_getm_notBefore(cert), options.starts));
  require(X509_gmtime_adj(X509_getm_notAfter(cert), options.ends));
  X509_NAME* name = X509_get_subject_name(cert);
  const auto* text = reinterpret_cast<const unsigned char*>(options.common_name);
  require(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, text, -1, -1, 0));
  require(X509_set_issuer_name(cert, name));
  require(X509_set_pubkey(cert, made.key.get()));
  if (options.subject_key_id) add_extension(cert, NID_subject_key_identifier, "hash");
  add_extension(cert, NID_basic_constraints, options.ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
  if (options.key_usage) add_extension(cert, NID_key_usage, options.key_usage);
  if (options.extended_key_usage)
    add_extension(cert, NID_ext_key_usage, options.extended_key_usage);
  const EVP_MD* digest = options.type == KeyType::ed25519 ? nullptr : EVP_sha256();
  require(X509_sign(cert, made.key.get(), digest));
  return made;
}

inline std::string contents(BIO* bio) {
  std::string text(BIO_ctrl_pending(bio), '\0');
  require(BIO_read(bio, text.data(), static_cast<int>(text.size())) >= 0);
  return text;
}

using BioPtr = std::unique_ptr<BIO, FreeWith<BIO_free_all>>;

inline std::string certificate_pem(const TestKey& made) {
  const BioPtr out(require(BIO_new(BIO_s_mem())));
  require(PEM_write_bio_X509(out.get(), made.cert.get()));
  return contents(out.get());
}

inline std::string certificate_der(const TestKey& made) {
  const BioPtr out(require(BIO_new(BIO_s_mem())));
  require(i2d_X509_bio(out.get(), made.cert.get()));
  return contents(out.get());
}

// PKCS#8; encrypted when a passphrase is given.
inline std::string key_pem(const TestKey& made, std::string passphrase = {}) {
  const BioPtr out(require(BIO_new(BIO_s_mem())));
  const EVP_CIPHER* cipher = passphrase.empty() ? nullptr : EVP_aes_256_cbc();
  require(PEM_write_bio_PKCS8PrivateKey(out.get(), made.key.get(), cipher, passphrase.data(),
                                        static_cast<int>(passphrase.size()), nullptr, nullptr));
  return contents(out.get());
}

// A directory of its own, removed with all it holds.
class TempDir {
 public:
  TempDir() {
    std::string name = std::filesystem::temp_directory_path() / "bpfwarden-test-XXXXXX";
    require(::mkdtemp(name.data()));
    path_ = name;
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  std::filesystem::path write(const std::string& name, const std::string& text) const {
    std::ofstream(path_ / name, std::ios::binary) << text;
    return path_ / name;
  }

 private:
  std::filesystem::path path_;
};

}  // namespace bpfwarden::test
