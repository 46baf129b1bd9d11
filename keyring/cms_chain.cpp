#include "keyring/cms_chain.h"

#include <openssl/x509v3.h>

#include <algorithm>

#include "keyring/cms.h"
#include "keyring/openssl.h"

namespace bpfwarden::keyring {
namespace {

constexpr const char* kCarried = "the signature";  // Certificate::path of what came with it

struct Message {
  CmsPtr cms;
  CMS_SignerInfo* signer = nullptr;  // its only one
  std::vector<Certificate> carried;
};

Result<Certificate> described(X509* certificate) {
  unsigned char* encoded = nullptr;
  const int length = i2d_X509(certificate, &encoded);
  if (length < 0) return fail_openssl("a certificate in the signature cannot be read");
  const std::vector<uint8_t> der(encoded, encoded + length);
  OPENSSL_free(encoded);
  auto parsed = keyring::parse_certificates(der, kCarried);
  if (!parsed) return std::unexpected(std::move(parsed).error());
  return std::move(parsed->front());
}

Result<Message> read_message(std::span<const uint8_t> der) {
  ERR_clear_error();
  Message message = {from_der<CmsPtr, d2i_CMS_ContentInfo>(der), nullptr, {}};
  STACK_OF(CMS_SignerInfo)* signers =
      message.cms ? CMS_get0_SignerInfos(message.cms.get()) : nullptr;
  if (signers == nullptr) return fail_openssl("not a CMS signature in DER");
  if (sk_CMS_SignerInfo_num(signers) != 1) return fail("the signature has not exactly one signer");
  message.signer = sk_CMS_SignerInfo_value(signers, 0);
  STACK_OF(X509)* certificates = CMS_get1_certs(message.cms.get());
  Status read;
  for (int i = 0; read && i < sk_X509_num(certificates); i++) {
    auto one = described(sk_X509_value(certificates, i));
    if (one)
      message.carried.push_back(std::move(*one));
    else
      read = std::unexpected(std::move(one).error());
  }
  sk_X509_pop_free(certificates, X509_free);
  if (!read) return std::unexpected(std::move(read).error());
  return message;
}

X509Ptr opened(const Certificate& certificate) {
  return from_der<X509Ptr, d2i_X509>(certificate.der);
}

bool is_signed_by(const Message& message, const Certificate& certificate) {
  const X509Ptr cert = opened(certificate);
  return cert && CMS_SignerInfo_cert_cmp(message.signer, cert.get()) == 0;
}

// The kernel follows the authority key identifier, and no certificate without one.
bool names_as_issuer(const Certificate& certificate, const Certificate& issuer) {
  const X509Ptr one = opened(certificate), other = opened(issuer);
  if (!one || !other || X509_get0_authority_key_id(one.get()) == nullptr) return false;
  // What a key is for, the kernel part looks at: see may_issue() in bpf-lsm/signed_by.bpf.h.
  const int answer = X509_check_issued(other.get(), one.get());
  return answer == X509_V_OK || answer == X509_V_ERR_KEYUSAGE_NO_CERTSIGN;
}

Status verify_issued(const Certificate& certificate, const Certificate& issuer) {
  const X509Ptr one = opened(certificate), other = opened(issuer);
  if (one && other && X509_verify(one.get(), X509_get0_pubkey(other.get())) == 1) return {};
  ERR_clear_error();
  return fail("the certificate of " + certificate.subject + " is not signed by the key of " +
              issuer.subject);
}

bool is_same(const Certificate& left, const Certificate& right) {
  return left.serial_hex == right.serial_hex && left.issuer == right.issuer &&
         left.subject_key_id == right.subject_key_id;
}

template <class Condition>
const Certificate* find(std::span<const Certificate> certificates, Condition condition) {
  const auto found = std::ranges::find_if(certificates, condition);
  return found == certificates.end() ? nullptr : &*found;
}

// From who signed, as far as the message's certificates lead. Empty where it does not carry that of
// who signed, or names no certificate but a key.
Result<std::vector<Certificate>> carried_chain(const Message& message) {
  ASN1_OCTET_STRING* key_id = nullptr;
  CMS_SignerInfo_get0_signer_id(message.signer, &key_id, nullptr, nullptr);
  std::vector<Certificate> chain;
  const Certificate* next =
      key_id != nullptr ? nullptr : find(message.carried, [&](const Certificate& one) {
        return is_signed_by(message, one);
      });
  while (next != nullptr && chain.size() <= message.carried.size()) {
    if (!chain.empty())
      if (Status good = verify_issued(chain.back(), *next); !good)
        return std::unexpected(std::move(good).error());
    chain.push_back(*next);
    if (next->issuer == next->subject) break;
    next = find(message.carried,
                [&](const Certificate& one) { return names_as_issuer(chain.back(), one); });
  }
  return chain;
}

std::string name_of_signer(const Message& message, const std::vector<Certificate>& chain) {
  if (!chain.empty()) return chain.front().subject + ", sha256:" + hex(chain.front().fingerprint);
  ASN1_OCTET_STRING* key_id = nullptr;
  X509_NAME* issuer = nullptr;
  ASN1_INTEGER* serial = nullptr;
  CMS_SignerInfo_get0_signer_id(message.signer, &key_id, &issuer, &serial);
  if (key_id != nullptr)
    return "the key with the identifier " +
           hex({ASN1_STRING_get0_data(key_id), static_cast<size_t>(ASN1_STRING_length(key_id))});
  const BignumPtr number(ASN1_INTEGER_to_BN(serial, nullptr));
  std::vector<uint8_t> bytes(number ? static_cast<size_t>(BN_num_bytes(number.get())) : 0);
  if (number) BN_bn2bin(number.get(), bytes.data());
  return "the certificate with the serial number " + hex(bytes) + ", which it does not carry";
}

// The first certificate of the chain, from who signed on, that is trusted itself; then one that
// issued the last.
Result<CmsChain> find_trusted(const Message& message, const std::vector<Certificate>& chain,
                              std::span<const Certificate> trusted) {
  for (size_t i = 0; i < chain.size(); i++)
    if (const Certificate* known =
            find(trusted, [&](const Certificate& one) { return is_same(one, chain[i]); }))
      return CmsChain{*known, {chain.begin(), chain.begin() + static_cast<ptrdiff_t>(i)}};
  const bool has_root = !chain.empty() && chain.back().issuer == chain.back().subject;
  const Certificate* known = nullptr;
  if (!chain.empty() && !has_root)
    known =
        find(trusted, [&](const Certificate& one) { return names_as_issuer(chain.back(), one); });
  if (known != nullptr) return CmsChain{*known, chain};
  if (!has_root)
    known = find(trusted, [&](const Certificate& one) { return is_signed_by(message, one); });
  if (known != nullptr) return CmsChain{*known, {}};
  return fail(
      "signed by " + name_of_signer(message, chain) +
          ": no certificate that is trusted vouches for it",
      "name the certificate of who signed; for a key's `issuer`, the signature must carry it "
      "and name it by issuer and serial number: docs/signing.md");
}

}  // namespace

bool CmsChain::operator==(const CmsChain& other) const {
  return trusted.fingerprint == other.trusted.fingerprint &&
         std::ranges::equal(below, other.below, {}, &Certificate::fingerprint,
                            &Certificate::fingerprint);
}

Result<CmsChain> verify_chain(std::span<const uint8_t> content, std::span<const uint8_t> der,
                              std::span<const Certificate> trusted) {
  const auto message = read_message(der);
  if (!message) return std::unexpected(message.error());
  const auto chain = carried_chain(*message);
  if (!chain) return std::unexpected(chain.error());
  auto found = find_trusted(*message, *chain, trusted);
  if (!found) return found;
  if (Status good = verify_detached(content, der, found->signer()); !good)
    return std::unexpected(std::move(good).error().within("signed by " + found->signer().subject));
  if (!found->below.empty())
    if (Status good = verify_issued(found->below.back(), found->trusted); !good)
      return std::unexpected(std::move(good).error());
  return found;
}

}  // namespace bpfwarden::keyring
