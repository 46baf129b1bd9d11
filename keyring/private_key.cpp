#include "keyring/private_key.h"

#include <openssl/crypto.h>
#include <openssl/pem.h>

#include <algorithm>

#include "base/file.h"
#include "keyring/openssl.h"
#include "keyring/pkcs11.h"
#include "keyring/terminal.h"

namespace bpfwarden::keyring {
namespace {

constexpr size_t max_file_size = 1 << 20;
constexpr size_t max_passphrase = PEM_BUFSIZE - 1;

// What OpenSSL's callback is told, and what it tells.
struct Passphrase {
  const KeyAccess& access;
  bool was_wanted = false;
  bool was_given = false;
  Error problem;
};

int from_file(Passphrase& passphrase, char* buffer, int size) {
  auto read = read_passphrase(passphrase.access.passphrase_file);
  if (!read) return passphrase.problem = std::move(read).error(), -1;
  const size_t length = std::min(read->size(), static_cast<size_t>(size));
  read->copy(buffer, length);
  OPENSSL_cleanse(read->data(), read->size());
  passphrase.was_given = true;
  return static_cast<int>(length);
}

int give_passphrase(char* buffer, int size, int, void* context) {
  auto& passphrase = *static_cast<Passphrase*>(context);
  passphrase.was_wanted = true;
  if (!passphrase.access.passphrase_file.empty()) return from_file(passphrase, buffer, size);
  if (!passphrase.access.ask || !has_terminal()) return -1;
  passphrase.was_given =
      EVP_read_pw_string(buffer, size, "passphrase of the private key: ", 0) == 0;
  return passphrase.was_given ? static_cast<int>(::strnlen(buffer, static_cast<size_t>(size))) : -1;
}

std::unexpected<Error> refused(const std::string& path, Passphrase& passphrase) {
  if (!passphrase.problem.message.empty()) return std::unexpected(std::move(passphrase.problem));
  if (!passphrase.was_wanted)
    return unreadable(fail_openssl(path + ": not a PEM private key", "give a PEM private key"));
  ERR_clear_error();
  if (passphrase.was_given) return fail(path + ": the passphrase does not open the private key");
  return fail(path +
                  ": the private key is encrypted, and there is no terminal to ask for its "
                  "passphrase",
              "give --passphrase-file FILE; its first line is the passphrase");
}

Result<PrivateKey> read_pem_key(const std::string& path, const KeyAccess& access) {
  auto bytes = read_file(path, max_file_size);
  if (!bytes) return unreadable(std::move(bytes.error()));
  Passphrase passphrase = {.access = access, .problem = {}};
  const BioPtr in = read_bio(*bytes);
  ERR_clear_error();
  PrivateKey key(PEM_read_bio_PrivateKey(in.get(), nullptr, give_passphrase, &passphrase));
  OPENSSL_cleanse(bytes->data(), bytes->size());
  if (key.get() == nullptr) return refused(path, passphrase);
  return key;
}

}  // namespace

void PrivateKey::Free::operator()(evp_pkey_st* key) const { EVP_PKEY_free(key); }

Result<PrivateKey> open_private_key(const std::string& name, const KeyAccess& access) {
  return name.starts_with("pkcs11:") ? open_token_key(name, access) : read_pem_key(name, access);
}

Result<PrivateKey> private_key_in(std::string_view pem) {
  const BioPtr in(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  ERR_clear_error();
  PrivateKey key(PEM_read_bio_PrivateKey(in.get(), nullptr, nullptr, nullptr));
  if (key.get() == nullptr) return fail_openssl("not a PEM private key", "give a PEM private key");
  return key;
}

Result<std::string> read_passphrase(const std::filesystem::path& file) {
  auto bytes = read_file(file, max_passphrase + 1);
  if (!bytes) return std::unexpected(std::move(bytes.error()));
  std::string line(bytes->begin(), std::ranges::find(*bytes, '\n'));
  OPENSSL_cleanse(bytes->data(), bytes->size());
  if (line.empty()) return fail(file.string() + ": its first line is empty");
  return line;
}

}  // namespace bpfwarden::keyring
