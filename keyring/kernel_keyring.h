// bpfwarden's sealed keyring in the kernel: keyrings(7), security/keys/, libkeyutils.
//
// A ring is filled with certificates, then closed for good: KEYCTL_RESTRICT_KEYRING without a type
// refuses every further link, and ring and keys lose the permissions write and setattr, which not
// even root can grant back. What stays possible, because verifying a signature needs the search
// permission: root may KEYCTL_INVALIDATE a key or the ring, or unlink the ring from its keyring.
// Both take trust away and give none. A freed serial may be given to a new key after some 2^31
// allocations, so a decision that rests on a serial must also compare the key itself.
//
// Lifetime: a ring lives while some keyring links to it. Errors keep the errno of keyctl(2).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "keyring/x509.h"

namespace bpfwarden::keyring {

using KeySerial = int32_t;  // key_serial_t

// A sealed ring of `certificates`, linked into the process keyring: it dies with this process
// unless published. A second ring of the same description displaces it there, so publish the first
// beforehand. On failure nothing is left behind. Errors: ENODEV, ENOENT, ENOPKG, EBADMSG,
// EKEYREJECTED, EDQUOT, each with a hint.
[[nodiscard]] Result<KeySerial> create_sealed_ring(std::string_view description,
                                                   std::span<const Certificate> certificates);

// Links the ring into root's user keyring, where it needs no process to live. A ring of the same
// description gives way to it in the same kernel operation, without a gap. Errors: EPERM unless the
// effective user is root.
[[nodiscard]] Status publish_ring(KeySerial ring);

// The published ring of this description. Its name proves nothing: root can publish another under
// the same one. Errors: ENOKEY when there is none.
[[nodiscard]] Result<KeySerial> find_ring(std::string_view description);

// Unlinks the published ring of this description. Errors: ENOKEY when there is none.
[[nodiscard]] Status drop_ring(std::string_view description);

// The keys a keyring links to, in no order.
[[nodiscard]] Result<std::vector<KeySerial>> ring_keys(KeySerial ring);

// As keyctl_describe(3) has it: "type;uid;gid;permissions;description", of which the description
// may hold more semicolons. Empty where it cannot be looked at.
[[nodiscard]] std::string describe_key(KeySerial key);

// What to do about the errno of add_key(2), of a certificate. Empty: nothing is known.
[[nodiscard]] const char* add_key_hint(int code);

// The key in `ring` that was made from `certificate`, by description. Errors: ENOKEY.
[[nodiscard]] Result<KeySerial> find_key(KeySerial ring, const Certificate& certificate);

// Asks the running kernel whether it verifies with the key of `certificate` (KEYCTL_PKEY_QUERY).
// Needs no privilege. Errors: it lacks the algorithm (ENOENT, ENOPKG); it cannot be asked, for
// instance because a container's seccomp filter denies it (EPERM, ENOSYS, EOPNOTSUPP).
[[nodiscard]] Status ask_kernel_for(const Certificate& certificate);

// Links a key or keyring into the session keyring, for tools that look only there.
[[nodiscard]] Status link_into_session(KeySerial key);

}  // namespace bpfwarden::keyring
