#include "keyring/kernel_parser.h"

#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <ctime>

#include "keyring/openssl.h"

namespace bpfwarden::keyring {
namespace {

using std::string;
using std::string_view;

// asn1_ber_decoder() reads no more.
constexpr int kMaxDer = 65535;
// x509_process_extension() takes the length of an identifier from one byte.
constexpr int kMaxKeyId = 127;

// x509_note_sig_algo(): what a certificate may itself be signed with.
constexpr auto kSignatures = std::to_array<string_view>({
    "1.2.840.113549.1.1.5",     // sha1WithRSAEncryption
    "1.2.840.113549.1.1.11",    // sha256WithRSAEncryption
    "1.2.840.113549.1.1.12",    // sha384WithRSAEncryption
    "1.2.840.113549.1.1.13",    // sha512WithRSAEncryption
    "1.2.840.113549.1.1.14",    // sha224WithRSAEncryption
    "2.16.840.1.101.3.4.3.14",  // RSA with SHA3-256
    "2.16.840.1.101.3.4.3.15",  // RSA with SHA3-384
    "2.16.840.1.101.3.4.3.16",  // RSA with SHA3-512
    "1.2.840.10045.4.1",        // ecdsa-with-SHA1
    "1.2.840.10045.4.3.1",      // ecdsa-with-SHA224
    "1.2.840.10045.4.3.2",      // ecdsa-with-SHA256
    "1.2.840.10045.4.3.3",      // ecdsa-with-SHA384
    "1.2.840.10045.4.3.4",      // ecdsa-with-SHA512
    "2.16.840.1.101.3.4.3.10",  // ECDSA with SHA3-256
    "2.16.840.1.101.3.4.3.11",  // ECDSA with SHA3-384
    "2.16.840.1.101.3.4.3.12",  // ECDSA with SHA3-512
    "1.2.643.7.1.1.3.2",        // GOST R 34.10-2012, 256 bits
    "1.2.643.7.1.1.3.3",        // and 512 bits
    "2.16.840.1.101.3.4.3.17",  // ML-DSA-44
    "2.16.840.1.101.3.4.3.18",  // ML-DSA-65
    "2.16.840.1.101.3.4.3.19",  // ML-DSA-87
});

constexpr const char* kIssueAnew =
    "have it issued anew, signed by RSA (PKCS#1 v1.5) or ECDSA with SHA-256 or longer";

string oid_of(const X509_ALGOR* algorithm) {
  const ASN1_OBJECT* object = nullptr;
  X509_ALGOR_get0(&object, nullptr, nullptr, algorithm);
  char text[128] = "";
  OBJ_obj2txt(text, sizeof(text), object, 1);
  return text;
}

string name_of(const X509_ALGOR* algorithm) {
  const ASN1_OBJECT* object = nullptr;
  X509_ALGOR_get0(&object, nullptr, nullptr, algorithm);
  const int id = OBJ_obj2nid(object);
  return id == NID_undef ? oid_of(algorithm) : OBJ_nid2ln(id);
}

Status require_signature(const X509* certificate) {
  const X509_ALGOR* outer = nullptr;
  X509_get0_signature(nullptr, &outer, certificate);
  const X509_ALGOR* inner = X509_get0_tbs_sigalg(certificate);
  if (oid_of(outer) != oid_of(inner))
    return fail("it says of its own signature both " + name_of(inner) + " and " + name_of(outer),
                kIssueAnew);
  if (std::ranges::find(kSignatures, oid_of(outer)) == kSignatures.end())
    return fail("the kernel does not take certificates that are signed by " + name_of(outer),
                kIssueAnew);
  return {};
}

// x509_decode_time(): up to 2049 as UTCTime, whole seconds in UTC.
Status require_time(const ASN1_TIME* time) {
  constexpr int utc_length = 13, general_length = 15, first_general_year = 2050, epoch_year = 1970;
  const string text(reinterpret_cast<const char*>(ASN1_STRING_get0_data(time)),
                    static_cast<size_t>(ASN1_STRING_length(time)));
  const bool is_utc = ASN1_STRING_type(time) == V_ASN1_UTCTIME;
  std::tm parsed = {};
  if (ASN1_TIME_to_tm(time, &parsed) != 1 || !text.ends_with('Z') ||
      ASN1_STRING_length(time) != (is_utc ? utc_length : general_length))
    return fail("the kernel does not take its date " + text,
                "have it issued anew, as RFC 5280 says");
  constexpr int tm_base = 1900;
  const int year = parsed.tm_year + tm_base;
  if (year < epoch_year || (!is_utc && year < first_general_year))
    return fail("the kernel does not take its date " + text +
                    (is_utc ? ": it is before 1970" : ": before 2050 it must be a UTCTime"),
                "have it issued anew, as RFC 5280 says");
  return {};
}

Status require_key_id(const X509* certificate) {
  size_t count = 0;
  for (int at = X509_get_ext_by_NID(certificate, NID_subject_key_identifier, -1); at >= 0;
       at = X509_get_ext_by_NID(certificate, NID_subject_key_identifier, at))
    count++;
  if (count > 1) return fail("it has two subject key identifiers", kIssueAnew);
  if (count == 0) return {};
  const ASN1_OCTET_STRING* id =
      X509_get0_subject_key_id(const_cast<X509*>(certificate));  // NOLINT: OpenSSL only caches
  if (id == nullptr) return fail("its subject key identifier is malformed", kIssueAnew);
  const int length = ASN1_STRING_length(id);
  if (length < 1 || length > kMaxKeyId)
    return fail("its subject key identifier has " + std::to_string(length) +
                    " bytes; the kernel takes 1 to 127",
                kIssueAnew);
  return {};
}

// x509_check_for_self_signed(): who calls himself issuer must have signed.
Status require_own_signature(X509* certificate) {
  if (X509_NAME_cmp(X509_get_subject_name(certificate), X509_get_issuer_name(certificate)) != 0)
    return {};
  const ASN1_OCTET_STRING* issuer_id = X509_get0_authority_key_id(certificate);
  const ASN1_OCTET_STRING* own_id = X509_get0_subject_key_id(certificate);
  if (issuer_id != nullptr && (own_id == nullptr || ASN1_OCTET_STRING_cmp(issuer_id, own_id) != 0))
    return {};
  EVP_PKEY* key = X509_get0_pubkey(certificate);
  if (key == nullptr) return {};  // an algorithm that this OpenSSL lacks
  int hash = NID_undef, algorithm = NID_undef;
  if (OBJ_find_sigid_algs(X509_get_signature_nid(certificate), &hash, &algorithm) != 1 ||
      hash == NID_undef)
    return {};  // likewise
  const int verified = algorithm == EVP_PKEY_base_id(key) ? X509_verify(certificate, key) : 0;
  ERR_clear_error();
  if (verified != 0) return {};  // below 0: it could not try
  return fail("it names itself as its issuer, and its own key has not signed it",
              "have it issued anew by a CA with another name, or with an authority key identifier");
}

}  // namespace

Status require_parsed_by_kernel(X509* certificate) {
  const int size = i2d_X509(certificate, nullptr);
  if (size > kMaxDer)
    return fail("it has " + std::to_string(size) + " bytes as DER; the kernel takes 65535",
                "have it issued anew with fewer extensions");
  if (Status done = require_signature(certificate); !done) return done;
  for (const ASN1_TIME* time : {X509_get0_notBefore(certificate), X509_get0_notAfter(certificate)})
    if (Status done = require_time(time); !done) return done;
  if (Status done = require_key_id(certificate); !done) return done;
  return require_own_signature(certificate);
}

}  // namespace bpfwarden::keyring
