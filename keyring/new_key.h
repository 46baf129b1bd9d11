// Key pairs for signing BPF programs, in the form that the kernel and this project ask for:
// certificates with codeSigning (RFC 5280, 4.2.1.12), a subject key identifier and CA:FALSE.
#pragma once

#include <string>

#include "base/result.h"

namespace bpfwarden::keyring {

// ML-DSA and EC-RDSA, which kernels may verify with as well, this OpenSSL cannot make.
enum class KeyType { ecdsa_p256, ecdsa_p384, ecdsa_p521, rsa_2048, rsa_4096 };

struct NewKey {
  std::string common_name;  // 1 to 64 bytes of printable ASCII
  KeyType type = KeyType::ecdsa_p384;
  unsigned days = 365;      // that the certificate lasts
  bool is_request = false;  // a request for a CA (PKCS#10, RFC 2986) instead of a certificate
  std::string passphrase;   // to encrypt the key with (PKCS#8, AES-256-CBC); may be empty
};

struct NewKeyFiles {
  std::string key;          // PEM; wipe it after use
  std::string certificate;  // or the request, PEM
};

[[nodiscard]] Result<NewKeyFiles> make_key(const NewKey& wanted);

}  // namespace bpfwarden::keyring
