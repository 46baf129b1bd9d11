// Owners for OpenSSL objects, and its error queue as text. Private to keyring/*.cpp: no header that
// others include names OpenSSL.
#pragma once

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <climits>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/result.h"

namespace bpfwarden::keyring {

template <auto Free>
struct FreeWith {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};
using BioPtr = std::unique_ptr<BIO, FreeWith<BIO_free_all>>;
using BignumPtr = std::unique_ptr<BIGNUM, FreeWith<BN_free>>;
using CmsPtr = std::unique_ptr<CMS_ContentInfo, FreeWith<CMS_ContentInfo_free>>;
using X509Ptr = std::unique_ptr<X509, FreeWith<X509_free>>;

// A BIO that reads `bytes`, which must outlive it. Null when they exceed what a BIO can hold.
inline BioPtr read_bio(std::span<const uint8_t> bytes) {
  if (bytes.size() > INT_MAX) return nullptr;
  // OpenSSL refuses a null pointer, which an empty span may hold.
  const void* data = bytes.empty() ? "" : static_cast<const void*>(bytes.data());
  return BioPtr(BIO_new_mem_buf(data, static_cast<int>(bytes.size())));
}

// `message`, and behind it OpenSSL's newest reason. Empties this thread's error queue.
inline std::unexpected<Error> fail_openssl(std::string message, std::string hint = {}) {
  const char* reason = ERR_reason_error_string(ERR_peek_last_error());
  if (reason != nullptr) message += std::string(": ") + reason;
  ERR_clear_error();
  return fail(std::move(message), std::move(hint));
}

// One DER object of type T filling `der` exactly, by OpenSSL's d2i function for it; else null.
template <class Ptr, auto D2i>
Ptr from_der(std::span<const uint8_t> der) {
  if (der.size() > LONG_MAX) return nullptr;
  const unsigned char* at = der.data();
  Ptr object(D2i(nullptr, &at, static_cast<long>(der.size())));
  return at == der.data() + der.size() ? std::move(object) : nullptr;
}

}  // namespace bpfwarden::keyring
