// Keys in tokens, by OpenSSL's engine `pkcs11` (libp11). Private to keyring/.
#pragma once

#include <string>

#include "base/result.h"
#include "keyring/private_key.h"

namespace bpfwarden::keyring {

// Errors: as open_private_key().
[[nodiscard]] Result<PrivateKey> open_token_key(const std::string& uri, const KeyAccess& access);

}  // namespace bpfwarden::keyring
