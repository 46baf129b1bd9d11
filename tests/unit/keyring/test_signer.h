// A key and its certificate as keyring/ reads them from files, for tests.
#pragma once

#include <utility>

#include "keyring/private_key.h"
#include "keyring/x509.h"
#include "tests/unit/keyring/test_keys.h"

namespace bpfwarden::test {

struct Signer {
  Certificate certificate;
  keyring::PrivateKey key{nullptr};
};

inline Signer make_signer(const CertificateOptions& options = {}) {
  const TempDir dir;
  const auto made = make_key(options);
  auto certs = keyring::read_certificates(dir.write("cert.pem", certificate_pem(made)));
  auto key = keyring::open_private_key(dir.write("key.pem", key_pem(made)));
  return {std::move(certs.value().front()), std::move(key.value())};
}

}  // namespace bpfwarden::test
