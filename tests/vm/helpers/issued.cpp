#include "tests/vm/helpers/issued.h"

#include <openssl/cms.h>

namespace bpfwarden::vm {
namespace {

// Names `issuer` in the certificate and signs it with the issuer's key.
void issue(X509* certificate, const Signer& issuer) {
  const uint8_t* der = issuer.certificate.der.data();
  const std::unique_ptr<X509, test::FreeWith<X509_free>> parent(
      test::require(d2i_X509(nullptr, &der, static_cast<long>(issuer.certificate.der.size()))));
  X509V3_CTX context = {};
  X509V3_set_ctx(&context, parent.get(), certificate, nullptr, nullptr, 0);
  test::require(X509_set_issuer_name(certificate, X509_get_subject_name(parent.get())));
  X509_EXTENSION* authority = test::require(
      X509V3_EXT_conf_nid(nullptr, &context, NID_authority_key_identifier, "keyid:always"));
  test::require(X509_add_ext(certificate, authority, -1));
  X509_EXTENSION_free(authority);
  test::require(X509_sign(certificate, issuer.key.get(), EVP_sha256()));
}

}  // namespace

IssuedSigner::IssuedSigner(const Signer& issuer)
    : key_(test::make_key({.common_name = "leaf"})), ring_(issuer.ring) {
  issue(key_.cert.get(), issuer);
  certificate_file_ = folder_.write("leaf.pem", test::certificate_pem(key_));
}

Load IssuedSigner::sign(Load request) const {
  const test::BioPtr content(
      BIO_new_mem_buf(request.insns.data(), static_cast<int>(request.insns.size())));
  CMS_ContentInfo* cms =
      test::require(CMS_sign(key_.cert.get(), key_.key.get(), nullptr, content.get(),
                             CMS_BINARY | CMS_DETACHED | CMS_NOATTR | CMS_NOSMIMECAP));
  uint8_t* bytes = nullptr;
  const int size = i2d_CMS_ContentInfo(cms, &bytes);
  request.signature.assign(bytes, bytes + size);
  request.keyring = ring_;
  OPENSSL_free(bytes);
  CMS_ContentInfo_free(cms);
  return request;
}

}  // namespace bpfwarden::vm
