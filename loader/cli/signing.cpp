#include "loader/cli/signing.h"

#include <CLI/CLI.hpp>
#include <cerrno>

#include "keyring/kernel_keyring.h"
#include "loader/cli/answer.h"

namespace bpfwarden::loader {
namespace {

// What is signed seldom runs where it is signed, so what this kernel lacks is worth a word and no
// more; read_certificates() has refused what no kernel verifies.
void warn_of_algorithm(const Certificate& certificate) {
  const Status answer = keyring::ask_kernel_for(certificate);
  if (answer || (answer.error().code != ENOENT && answer.error().code != ENOPKG)) return;
  put_note("the kernel of this machine does not verify " + certificate.kernel_algorithm +
           "; `bpfwarden doctor`, where it is to be verified, lists what that kernel verifies");
}

}  // namespace

CLI::Option* add_signing(CLI::App& verb, SigningOptions& options) {
  auto* key = verb.add_option("--key", options.key, "private key: a PEM file, or a pkcs11: URI");
  verb.add_option("--passphrase-file", options.access.passphrase_file,
                  "its first line opens the key, or is the token's PIN; without, it is asked for");
  verb.add_option("--pkcs11-module", options.access.pkcs11_module,
                  "the token's module; without, those that p11-kit knows");
  verb.add_option("--cert", options.certificate, "its certificate (PEM or DER)");
  return key;
}

Result<Hand> open_hand(const SigningOptions& options) {
  auto certificates = keyring::read_certificates(options.certificate);
  if (!certificates) return std::unexpected(std::move(certificates).error());
  Hand hand = {.certificate = certificates->front(), .key = std::nullopt};
  warn_of_algorithm(hand.certificate);
  if (options.key.empty()) return hand;
  auto key = keyring::open_private_key(options.key, options.access);
  if (!key) return std::unexpected(std::move(key).error());
  hand.key = std::move(*key);
  return hand;
}

}  // namespace bpfwarden::loader
