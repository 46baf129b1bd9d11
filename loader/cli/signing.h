// Who signs, for the verbs that do: a key in a file or a token, with its certificate.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "keyring/private_key.h"
#include "keyring/x509.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace bpfwarden::loader {

struct SigningOptions {
  std::string key, certificate;
  keyring::KeyAccess access = {.ask = true};
};

// --key, --passphrase-file, --pkcs11-module and --cert; returns --key.
CLI::Option* add_signing(CLI::App& verb, SigningOptions& options);

// Who signs: a key at hand, or nobody but the files of signatures.
struct Hand {
  Certificate certificate;
  std::optional<keyring::PrivateKey> key;
};

// Where the kernel of this machine lacks the algorithm, there is a note. Errors: as of
// read_certificates() and open_private_key().
[[nodiscard]] Result<Hand> open_hand(const SigningOptions& options);

}  // namespace bpfwarden::loader
