#include "keyring/kernel_keyring.h"

#include <keyutils.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <memory>

namespace bpfwarden::keyring {
namespace {

constexpr key_perm_t sealed_permissions = KEY_POS_VIEW | KEY_POS_READ | KEY_POS_SEARCH |
                                          KEY_POS_LINK | KEY_USR_VIEW | KEY_USR_READ |
                                          KEY_USR_SEARCH | KEY_USR_LINK;

struct Free {
  void operator()(void* memory) const { std::free(memory); }
};

std::string key_description(const Certificate& certificate) {
  return "bpfwarden:" + hex(std::span(certificate.fingerprint).first(16));
}

// Takes an unfinished ring out of the process keyring again.
class Unfinished {
 public:
  explicit Unfinished(KeySerial ring) : ring_(ring) {}
  Unfinished(const Unfinished&) = delete;
  Unfinished& operator=(const Unfinished&) = delete;
  ~Unfinished() {
    if (ring_ > 0) ::keyctl_unlink(ring_, KEY_SPEC_PROCESS_KEYRING);
  }
  void finish() { ring_ = 0; }

 private:
  KeySerial ring_;
};

Status add_certificate(KeySerial ring, const Certificate& certificate) {
  const std::string description = key_description(certificate);
  const KeySerial key = ::add_key("asymmetric", description.c_str(), certificate.der.data(),
                                  certificate.der.size(), ring);
  if (key < 0) {
    const int code = errno;
    return fail_errno(code, certificate.path + ": the kernel does not take " + certificate.subject,
                      add_key_hint(code));
  }
  if (::keyctl_setperm(key, sealed_permissions) != 0)
    return fail_errno(errno, certificate.path + ": cannot seal the key");
  return {};
}

bool is_ring_called(KeySerial key, std::string_view description) {
  const std::string found = describe_key(key);
  size_t at = 0;
  for (int field = 0; field < 4; ++field) {
    at = found.find(';', at);
    if (at == std::string::npos) return false;
    ++at;
  }
  return found.starts_with("keyring;") && std::string_view(found).substr(at) == description;
}

}  // namespace

const char* add_key_hint(int code) {
  switch (code) {
    case ENODEV:
      return "this kernel has no asymmetric keys: it needs CONFIG_ASYMMETRIC_KEY_TYPE";
    case ENOENT:  // the crypto API, checking the self-signature
    case ENOPKG:
      return "this kernel lacks the certificate's key or signature algorithm";
    case EBADMSG:
      return "this kernel's X.509 parser does not take the certificate: is "
             "CONFIG_X509_CERTIFICATE_PARSER set?";
    case EKEYREJECTED:
      return "the certificate's self-signature is wrong, or the kernel's blacklist holds it";
    case EDQUOT:
      return "raise the sysctls kernel.keys.root_maxkeys and kernel.keys.root_maxbytes";
    default:
      return "";
  }
}

std::string describe_key(KeySerial key) {
  char* text = nullptr;
  if (::keyctl_describe_alloc(key, &text) < 0) return {};
  const std::unique_ptr<char, Free> owner(text);
  return text;
}

Result<KeySerial> create_sealed_ring(std::string_view description,
                                     std::span<const Certificate> certificates) {
  const std::string name(description);
  const KeySerial ring = ::add_key("keyring", name.c_str(), nullptr, 0, KEY_SPEC_PROCESS_KEYRING);
  if (ring < 0) {
    const int code = errno;
    return fail_errno(code, "cannot create the keyring " + name, add_key_hint(code));
  }
  Unfinished guard(ring);
  for (const Certificate& certificate : certificates)
    if (auto status = add_certificate(ring, certificate); !status)
      return std::unexpected(std::move(status.error()));
  if (::keyctl_restrict_keyring(ring, nullptr, nullptr) != 0)
    return fail_errno(errno, "cannot restrict the keyring " + name);
  if (::keyctl_setperm(ring, sealed_permissions) != 0)
    return fail_errno(errno, "cannot seal the keyring " + name);
  guard.finish();
  return ring;
}

Status publish_ring(KeySerial ring) {
  if (::geteuid() != 0)
    return fail_errno(EPERM, "cannot publish keyring " + std::to_string(ring), "run as root");
  if (::keyctl_link(ring, KEY_SPEC_USER_KEYRING) != 0)
    return fail_errno(errno, "cannot publish keyring " + std::to_string(ring));
  return {};
}

Result<KeySerial> find_ring(std::string_view description) {
  auto keys = ring_keys(KEY_SPEC_USER_KEYRING);
  if (!keys) return std::unexpected(std::move(keys.error()));
  const auto found =
      std::ranges::find_if(*keys, [&](KeySerial key) { return is_ring_called(key, description); });
  if (found == keys->end())
    return fail_errno(ENOKEY, "no keyring " + std::string(description) + " is published");
  return *found;
}

Status drop_ring(std::string_view description) {
  const auto ring = find_ring(description);
  if (!ring) return std::unexpected(ring.error());
  if (::keyctl_unlink(*ring, KEY_SPEC_USER_KEYRING) != 0)
    return fail_errno(errno, "cannot unlink the keyring " + std::string(description));
  return {};
}

Result<std::vector<KeySerial>> ring_keys(KeySerial ring) {
  void* buffer = nullptr;
  const int size = ::keyctl_read_alloc(ring, &buffer);
  if (size < 0) return fail_errno(errno, "cannot read keyring " + std::to_string(ring));
  const std::unique_ptr<void, Free> owner(buffer);
  const auto* serials = static_cast<const KeySerial*>(buffer);
  return std::vector<KeySerial>(serials, serials + static_cast<size_t>(size) / sizeof(KeySerial));
}

Result<KeySerial> find_key(KeySerial ring, const Certificate& certificate) {
  const long key = ::keyctl_search(ring, "asymmetric", key_description(certificate).c_str(), 0);
  if (key < 0)
    return fail_errno(errno, "keyring " + std::to_string(ring) + " lacks " + certificate.subject);
  return static_cast<KeySerial>(key);
}

Status ask_kernel_for(const Certificate& certificate) {
  const std::string what = "the running kernel, asked for " + certificate.kernel_algorithm;
  const KeySerial key = ::add_key("asymmetric", "bpfwarden:asked", certificate.der.data(),
                                  certificate.der.size(), KEY_SPEC_PROCESS_KEYRING);
  if (key < 0) {
    const int code = errno;
    return fail_errno(code, what, add_key_hint(code));
  }
  const bool is_rsa = certificate.kernel_algorithm == "rsa";
  struct keyctl_pkey_query answer = {};  // the function has the same name
  const long asked =
      ::keyctl_pkey_query(key, is_rsa ? "enc=pkcs1 hash=sha256" : "enc=x962 hash=sha256", &answer);
  const int code = errno;
  ::keyctl_unlink(key, KEY_SPEC_PROCESS_KEYRING);
  if (asked != 0) return fail_errno(code, what, add_key_hint(code));
  if ((answer.supported_ops & KEYCTL_SUPPORTS_VERIFY) == 0)
    return fail_errno(ENOPKG, what, add_key_hint(ENOPKG));
  return {};
}

Status link_into_session(KeySerial key) {
  if (::keyctl_link(key, KEY_SPEC_SESSION_KEYRING) != 0)
    return fail_errno(errno,
                      "cannot link key " + std::to_string(key) + " into the session keyring");
  return {};
}

}  // namespace bpfwarden::keyring
