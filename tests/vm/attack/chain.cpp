#include "tests/vm/attack/chain.h"

#include <openssl/cms.h>

namespace bpfwarden::vm {
namespace {

using CmsPtr = std::unique_ptr<CMS_ContentInfo, test::FreeWith<CMS_ContentInfo_free>>;

test::TestKey make(const Issued& issued) {
  test::TestKey made = test::make_key({.common_name = issued.name.c_str(), .ca = issued.ca});
  if (issued.key_usage != nullptr)
    test::add_extension(made.cert.get(), NID_key_usage, issued.key_usage);
  return made;
}

// Issuer and serial number tell certificates apart, so each has a number of its own.
void issue(X509* certificate, X509* parent, EVP_PKEY* parent_key) {
  static long serial = 0;
  test::require(ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial));
  X509V3_CTX context = {};
  X509V3_set_ctx(&context, parent, certificate, nullptr, nullptr, 0);
  test::require(X509_set_issuer_name(certificate, X509_get_subject_name(parent)));
  if (parent != certificate) {
    X509_EXTENSION* authority = test::require(
        X509V3_EXT_conf_nid(nullptr, &context, NID_authority_key_identifier, "keyid:always"));
    test::require(X509_add_ext(certificate, authority, -1));
    X509_EXTENSION_free(authority);
  }
  test::require(X509_sign(certificate, parent_key, EVP_sha256()));
}

}  // namespace

Link::Link(const Issued& issued) {
  test::TestKey made = make(issued);
  issue(made.cert.get(), made.cert.get(), made.key.get());
  key_ = std::move(made.key);
  cert_ = std::move(made.cert);
  write(issued.name);
}

Link::Link(const Issued& issued, const Link& issuer) {
  test::TestKey made = make(issued);
  issue(made.cert.get(), issuer.certificate(), issuer.key());
  key_ = std::move(made.key);
  cert_ = std::move(made.cert);
  write(issued.name);
}

Link::Link(const Link& same_key, const Link& issuer, int again) : key_(same_key.key_) {
  cert_.reset(test::require(X509_dup(same_key.certificate())), X509_free);
  const int at = X509_get_ext_by_NID(cert_.get(), NID_authority_key_identifier, -1);
  if (at >= 0) X509_EXTENSION_free(X509_delete_ext(cert_.get(), at));
  issue(cert_.get(), issuer.certificate(), issuer.key());
  write("again" + std::to_string(again));
}

void Link::write(const std::string& name) {
  const test::BioPtr out(test::require(BIO_new(BIO_s_mem())));
  test::require(PEM_write_bio_X509(out.get(), cert_.get()));
  file_ = folder_->write(name + ".pem", test::contents(out.get()));
}

keyring::KeySerial Link::make_ring() const {
  return vm::make_ring(keyring::read_certificates(file_).value().front());
}

std::vector<Link> make_chain(const Link& root, size_t count, size_t wrong,
                             const Issued& otherwise) {
  std::vector<Link> chain;
  for (size_t i = 0; i < count; i++) {
    Issued issued = i == wrong ? otherwise : Issued{};
    issued.name = "ca " + std::to_string(i) + (wrong == SIZE_MAX ? "" : " of another chain");
    chain.emplace_back(issued, i == 0 ? root : chain.back());
  }
  return chain;
}

Load sign(Load request, const Signing& signing, keyring::KeySerial ring) {
  const unsigned attributes = signing.attributes ? 0 : CMS_NOATTR;
  constexpr unsigned flags = CMS_BINARY | CMS_DETACHED | CMS_NOSMIMECAP;
  const test::BioPtr content(
      BIO_new_mem_buf(request.insns.data(), static_cast<int>(request.insns.size())));
  const CmsPtr cms(
      test::require(CMS_sign(nullptr, nullptr, nullptr, nullptr, flags | CMS_PARTIAL)));
  for (const Link* signer : signing.signers)
    test::require(CMS_add1_signer(cms.get(), signer->certificate(), signer->key(), EVP_sha256(),
                                  flags | attributes));
  for (const Link* carried : signing.carried)
    test::require(CMS_add1_cert(cms.get(), carried->certificate()));
  test::require(CMS_final(cms.get(), content.get(), nullptr, flags));
  uint8_t* bytes = nullptr;
  const int size = i2d_CMS_ContentInfo(cms.get(), &bytes);
  request.signature.assign(bytes, bytes + size);
  request.keyring = ring;
  OPENSSL_free(bytes);
  return request;
}

}  // namespace bpfwarden::vm
