#include "keyring/cms.h"

#include <openssl/cms.h>
#include <openssl/objects.h>

#include "keyring/openssl.h"

namespace bpfwarden::keyring {
namespace {

// In two steps, message then signer, because only CMS_add1_signer() lets us choose the digest.
constexpr unsigned message_flags = CMS_PARTIAL | CMS_BINARY | CMS_DETACHED | CMS_NOCERTS;
constexpr unsigned signer_flags = CMS_NOATTR | CMS_BINARY;
constexpr unsigned named_by_key_id = CMS_USE_KEYID | CMS_NOCERTS;

Result<CmsPtr> parse_cms(std::span<const uint8_t> der) {
  ERR_clear_error();
  CmsPtr cms = from_der<CmsPtr, d2i_CMS_ContentInfo>(der);
  if (!cms || OBJ_obj2nid(CMS_get0_type(cms.get())) != NID_pkcs7_signed)
    return fail_openssl("not a CMS signature in DER");
  return cms;
}

Result<std::vector<uint8_t>> encode(const CMS_ContentInfo* cms) {
  const int length = i2d_CMS_ContentInfo(cms, nullptr);
  if (length <= 0) return fail_openssl("cannot encode the signature");
  std::vector<uint8_t> der(static_cast<size_t>(length));
  unsigned char* at = der.data();
  i2d_CMS_ContentInfo(cms, &at);
  return der;
}

bool is_issued(const X509* signer) {
  return X509_NAME_cmp(X509_get_subject_name(signer), X509_get_issuer_name(signer)) != 0;
}

// From a certificate that travels along, named by its issuer and serial number, the kernel finds
// its way to the issuer (pkcs7_verify_sig_chain()); from a key identifier it does not.
unsigned flags_for(const X509* signer) {
  return is_issued(signer) ? signer_flags : signer_flags | named_by_key_id;
}

}  // namespace

Result<std::vector<uint8_t>> sign_detached(std::span<const uint8_t> content, const PrivateKey& key,
                                           const Certificate& certificate) {
  ERR_clear_error();
  if (certificate.subject_key_id.empty())
    return fail(certificate.path + ": the certificate has no subject key identifier",
                "issue it with the extension subjectKeyIdentifier = hash");
  const X509Ptr signer = from_der<X509Ptr, d2i_X509>(certificate.der);
  if (!signer) return fail_openssl(certificate.path + ": not an X.509 certificate");
  if (is_issued(signer.get()) && X509_get0_authority_key_id(signer.get()) == nullptr)
    return fail(certificate.path +
                    ": the certificate has no authority key identifier, by which the "
                    "kernel finds who issued it",
                "issue it with the extension authorityKeyIdentifier = keyid");
  if (X509_check_private_key(signer.get(), key.get()) != 1)
    return fail_openssl("the private key does not belong to the certificate " + certificate.path,
                        "give the key and the certificate of one pair");

  const BioPtr in = read_bio(content);
  if (!in) return fail("the content is too large to sign");
  const CmsPtr cms(CMS_sign(nullptr, nullptr, nullptr, nullptr, message_flags));
  if (!cms ||
      CMS_add1_signer(cms.get(), signer.get(), key.get(), EVP_sha256(), flags_for(signer.get())) ==
          nullptr ||
      CMS_final(cms.get(), in.get(), nullptr, CMS_BINARY | CMS_DETACHED) != 1)
    return fail_openssl("cannot sign");
  return encode(cms.get());
}

Result<CmsInfo> inspect_cms(std::span<const uint8_t> der) {
  const auto cms = parse_cms(der);
  if (!cms) return std::unexpected(cms.error());
  CmsInfo info;
  STACK_OF(CMS_SignerInfo)* signers = CMS_get0_SignerInfos(cms->get());
  if (sk_CMS_SignerInfo_num(signers) <= 0) return info;
  info.signers = static_cast<size_t>(sk_CMS_SignerInfo_num(signers));

  CMS_SignerInfo* first = sk_CMS_SignerInfo_value(signers, 0);
  ASN1_OCTET_STRING* key_id = nullptr;
  CMS_SignerInfo_get0_signer_id(first, &key_id, nullptr, nullptr);
  if (key_id != nullptr) {
    const uint8_t* data = ASN1_STRING_get0_data(key_id);
    info.subject_key_id.assign(data, data + ASN1_STRING_length(key_id));
  }
  X509_ALGOR* digest = nullptr;
  CMS_SignerInfo_get0_algs(first, nullptr, nullptr, &digest, nullptr);
  const ASN1_OBJECT* algorithm = nullptr;
  X509_ALGOR_get0(&algorithm, nullptr, nullptr, digest);
  char name[64] = "";
  OBJ_obj2txt(name, sizeof(name), algorithm, 0);
  info.digest_algorithm = name;
  return info;
}

Status verify_detached(std::span<const uint8_t> content, std::span<const uint8_t> der,
                       const Certificate& certificate) {
  const auto cms = parse_cms(der);
  if (!cms) return std::unexpected(cms.error());
  if (CMS_is_detached(cms->get()) != 1) return fail("the signature is not detached");
  STACK_OF(CMS_SignerInfo)* signers = CMS_get0_SignerInfos(cms->get());
  if (sk_CMS_SignerInfo_num(signers) != 1) return fail("the signature has not exactly one signer");

  const X509Ptr cert = from_der<X509Ptr, d2i_X509>(certificate.der);
  if (!cert) return fail_openssl(certificate.path + ": not an X.509 certificate");
  CMS_SignerInfo* signer = sk_CMS_SignerInfo_value(signers, 0);
  if (CMS_SignerInfo_cert_cmp(signer, cert.get()) != 0)
    return fail("signed by a key other than that of " + certificate.subject);
  CMS_SignerInfo_set1_signer_cert(signer, cert.get());

  // Behind a filter: CMS_verify() copies a memory BIO, and of some damaged messages OpenSSL 3.0.19
  // never frees the copy.
  BioPtr bytes = read_bio(content);
  const BioPtr in(BIO_new(BIO_f_null()));
  if (!bytes || !in) return fail("the content is too large to verify");
  BIO_push(in.get(), bytes.release());
  constexpr unsigned flags = CMS_NO_SIGNER_CERT_VERIFY | CMS_NOINTERN | CMS_BINARY;
  if (CMS_verify(cms->get(), nullptr, nullptr, in.get(), nullptr, flags) != 1)
    return fail_openssl("the signature does not match the content");
  return {};
}

}  // namespace bpfwarden::keyring
