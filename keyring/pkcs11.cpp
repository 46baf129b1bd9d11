// The engine interface is deprecated in favour of providers; Debian 12 has no PKCS#11 provider.
#define OPENSSL_SUPPRESS_DEPRECATED

#include "keyring/pkcs11.h"

#include <openssl/engine.h>
#include <openssl/ui.h>

#include "keyring/openssl.h"
#include "keyring/terminal.h"

namespace bpfwarden::keyring {
namespace {

using EnginePtr = std::unique_ptr<ENGINE, FreeWith<ENGINE_free>>;

// Holds what ENGINE_init() gave until the process ends: keys use the engine as long as they live.
Result<ENGINE*> start_engine(const KeyAccess& access) {
  ERR_clear_error();
  const EnginePtr engine(ENGINE_by_id("pkcs11"));
  if (!engine)
    return fail_openssl("OpenSSL has no PKCS#11 engine",
                        "install it: apt-get install libengine-pkcs11-openssl");
  const std::string& module = access.pkcs11_module.native();
  if (!module.empty() &&
      ENGINE_ctrl_cmd_string(engine.get(), "MODULE_PATH", module.c_str(), 0) != 1)
    return fail_openssl("the PKCS#11 engine takes no module " + module);
  if (!access.passphrase_file.empty()) {
    const auto pin = read_passphrase(access.passphrase_file);
    if (!pin) return std::unexpected(pin.error());
    if (ENGINE_ctrl_cmd_string(engine.get(), "PIN", pin->c_str(), 0) != 1)
      return fail_openssl("the PKCS#11 engine takes no PIN");
  }
  if (ENGINE_init(engine.get()) != 1)
    return fail_openssl(
        "the PKCS#11 module cannot be started",
        "`p11-kit list-modules` shows those there are; or give --pkcs11-module FILE");
  return engine.get();
}

}  // namespace

Result<PrivateKey> open_token_key(const std::string& uri, const KeyAccess& access) {
  const auto engine = start_engine(access);
  if (!engine) return std::unexpected(engine.error());
  const bool ask = access.ask && access.passphrase_file.empty() && has_terminal();
  UI_METHOD* method = ask ? UI_OpenSSL() : const_cast<UI_METHOD*>(UI_null());
  PrivateKey key(ENGINE_load_private_key(*engine, uri.c_str(), method, nullptr));
  if (key.get() != nullptr) return key;
  return fail_openssl("no private key opens as " + uri,
                      "`p11tool --list-all` or `pkcs11-tool --list-objects` shows the token's "
                      "objects; give its PIN with --passphrase-file");
}

}  // namespace bpfwarden::keyring
