#include "keyring/enrol.h"

#include <keyutils.h>

#include <algorithm>
#include <cctype>
#include <cerrno>

namespace bpfwarden::keyring {
namespace {

// What Documentation/bpf/signing.rst leaves: the kernel's search, and looking.
constexpr key_perm_t closed_permissions = KEY_POS_SEARCH | KEY_USR_VIEW | KEY_USR_READ;

// How the kernel ends the description of a certificate's key: by its subject key identifier, or
// by its serial number as DER has it (x509_key_preparse() in x509_public_key.c).
std::string ending_of(const Certificate& certificate) {
  if (!certificate.subject_key_id.empty()) return ": " + hex(certificate.subject_key_id);
  std::string serial = certificate.serial_hex;
  std::ranges::transform(serial, serial.begin(), [](unsigned char c) { return std::tolower(c); });
  return ": " + serial;
}

std::vector<std::string> keys_in(KeySerial ring) {
  std::vector<std::string> names;
  const auto keys = ring_keys(ring);
  if (!keys) return names;
  for (const KeySerial key : *keys) names.push_back(describe_key(key));
  return names;
}

bool is_there(const std::vector<std::string>& keys, const Certificate& certificate) {
  const std::string ending = ending_of(certificate);
  return std::ranges::any_of(keys, [&](const std::string& key) {
    return key.starts_with("asymmetric;") && key.ends_with(ending);
  });
}

const char* enrol_hint(int code) {
  switch (code) {
    case EPERM:
    case ENOKEY:  // closed but for what one of its keys has issued
      return "the keyring is closed, and only a boot opens it: have the initramfs run `bpfwarden "
             "enrol` before anybody else closes it";
    case EACCES:
      return "run as root; where root gets this, somebody has closed the keyring, and only a boot "
             "opens it";
    default:
      return add_key_hint(code);
  }
}

// What is left of a run that could not close the keyring.
class AddedKeys {
 public:
  explicit AddedKeys(KeySerial ring) : ring_(ring) {}
  void add(KeySerial key) { keys_.push_back(key); }
  [[nodiscard]] bool are_none() const { return keys_.empty(); }
  void take_out() const {
    for (const KeySerial key : keys_) ::keyctl_unlink(key, ring_);
  }

 private:
  KeySerial ring_;
  std::vector<KeySerial> keys_;
};

EnrolledCertificate enrol_one(KeySerial ring, const Certificate& certificate, AddedKeys& added) {
  // Without a description the kernel names the key.
  const KeySerial key =
      ::add_key("asymmetric", nullptr, certificate.der.data(), certificate.der.size(), ring);
  if (key < 0) {
    const int code = errno;
    return {.outcome = EnrolOutcome::refused,
            .error = fail_errno(code,
                                certificate.path + ": the kernel does not take " +
                                    certificate.subject + " into the keyring",
                                enrol_hint(code))
                         .error()};
  }
  added.add(key);
  return {.outcome = EnrolOutcome::added, .error = {}};
}

// True: it was closed before. Where nobody may change it any more (EACCES), whoever saw to that has
// closed it, unless it has just taken a key.
Result<bool> close_keyring(KeySerial ring, bool takes_keys) {
  const bool was_closed = ::keyctl_restrict_keyring(ring, nullptr, nullptr) != 0;
  if (was_closed && errno == EACCES && !takes_keys) return true;
  if (was_closed && errno != EEXIST)
    return fail_errno(errno, "cannot close keyring " + std::to_string(ring), enrol_hint(errno));
  if (::keyctl_setperm(ring, closed_permissions) != 0 && !was_closed)
    return fail_errno(errno, "keyring " + std::to_string(ring) +
                                 " is closed, but root can still "
                                 "take keys out");
  return was_closed;
}

}  // namespace

Result<Enrolment> enrol(KeySerial ring, std::span<const Certificate> certificates) {
  Enrolment enrolment;
  enrolment.certificates.resize(certificates.size());
  const std::vector<std::string> before = keys_in(ring);
  AddedKeys added(ring);
  // Backwards: of two with the same name the kernel keeps the last.
  for (size_t left = certificates.size(); left > 0; left--) {
    const Certificate& certificate = certificates[left - 1];
    EnrolledCertificate& enrolled = enrolment.certificates[left - 1];
    if (is_there(before, certificate))
      enrolled.outcome = EnrolOutcome::present;
    else
      enrolled = enrol_one(ring, certificate, added);
  }
  auto closed = close_keyring(ring, !added.are_none());
  if (!closed) {
    added.take_out();
    return std::unexpected(std::move(closed).error());
  }
  enrolment.was_closed = *closed;
  const auto keys = ring_keys(ring);
  if (!keys) return std::unexpected(keys.error());
  enrolment.key_count = keys->size();
  return enrolment;
}

}  // namespace bpfwarden::keyring
