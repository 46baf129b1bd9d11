// Certificates into a keyring of the kernel's that is open until it is closed: `.bpf` of kernels
// after 7.3 (Documentation/bpf/signing.rst), made by the kernel, filled by the initramfs, and asked
// only once it is closed and has a key. Closed is: KEYCTL_RESTRICT_KEYRING without a type, which
// refuses every further key, and permissions that leave searching to the kernel and looking to
// root.
//
// Nothing here knows of `.bpf` but its number: the functions take any keyring. Errors keep the
// errno of keyctl(2).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "keyring/kernel_keyring.h"
#include "keyring/x509.h"

namespace bpfwarden::keyring {

// KEY_SPEC_BPF_KEYRING: names it to keyctl(2) and bpf(2), and conveys no right. Kernels that have
// no such keyring answer EINVAL. Its serial is not asked for: that takes the permission to search,
// which root does not have there.
inline constexpr KeySerial kBpfKeyring = -9;

enum class EnrolOutcome : uint8_t { added, present, refused };

struct EnrolledCertificate {
  EnrolOutcome outcome = EnrolOutcome::refused;
  Error error;  // of `refused`: begins with the file
};

struct Enrolment {
  std::vector<EnrolledCertificate> certificates;  // as given
  size_t key_count = 0;                           // in the keyring, afterwards
  bool was_closed = false;                        // by somebody else, before
};

// Puts them in, and closes the keyring whatever became of each: who leaves it open leaves it to
// everybody who is root later. `present`: a key of that name is there already, as the kernel names
// them, by subject and key identifier. Of two that the kernel takes for one the first stays.
// Errors: the keyring cannot be closed; then what this call has put there is taken out again.
[[nodiscard]] Result<Enrolment> enrol(KeySerial ring, std::span<const Certificate> certificates);

}  // namespace bpfwarden::keyring
