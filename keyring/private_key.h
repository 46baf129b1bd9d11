// Private keys, for signing only: in PEM files, encrypted or not, and in tokens that speak PKCS#11,
// which never give theirs away.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

struct evp_pkey_st;

namespace bpfwarden::keyring {

// Its owner. The key in a token is a handle: signing happens in the token.
class PrivateKey {
 public:
  explicit PrivateKey(evp_pkey_st* owned) : key_(owned) {}
  [[nodiscard]] evp_pkey_st* get() const { return key_.get(); }

 private:
  struct Free {
    void operator()(evp_pkey_st* key) const;
  };
  std::unique_ptr<evp_pkey_st, Free> key_;
};

// How a key that is locked may be opened: with the first line of a file, or by asking.
struct KeyAccess {
  std::filesystem::path passphrase_file;  // of a PEM file, or the PIN of a token; may be empty
  bool ask = false;                       // on the terminal, where there is one and no file
  std::filesystem::path pkcs11_module;    // empty: those that p11-kit knows
};

// `name` is the path of a PEM file of up to 1 MiB, or a `pkcs11:` URI (RFC 7512). Errors:
// unreadable (errno kept), no private key, locked and no way to open it, a wrong passphrase or PIN,
// OpenSSL's PKCS#11 engine not installed.
[[nodiscard]] Result<PrivateKey> open_private_key(const std::string& name,
                                                  const KeyAccess& access = {});

// One that was just made and is in no file: PEM, not encrypted. Errors: it is none.
[[nodiscard]] Result<PrivateKey> private_key_in(std::string_view pem);

// The first line of the file, without its end. Errors: unreadable (errno kept); empty.
[[nodiscard]] Result<std::string> read_passphrase(const std::filesystem::path& file);

}  // namespace bpfwarden::keyring
