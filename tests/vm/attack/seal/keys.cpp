// Attacks on the keyring of the policy that decides.
#include <keyutils.h>

#include <cerrno>

#include "keyring/kernel_keyring.h"
#include "tests/vm/attack/seal/host.h"
#include "tests/vm/machine/entries.h"

namespace bpfwarden::vm {
namespace {

constexpr const char* kRing = "clear, revoke, invalidate, unlink, chown or time out the keyring";

keyring::KeySerial key_in(const Victim& victim) {
  const auto keys = keyring::ring_keys(victim.ring);
  return keys && !keys->empty() ? keys->front() : 0;
}

// What is refused by the key's permissions is EACCES, what by the hook is EPERM.
int refusal(long result) {
  if (result >= 0) return 0;
  return errno == EACCES ? EPERM : errno;
}

int invalidate_by_int80(Victim& victim) {
  const long done = by_int80(288, 21, static_cast<uint64_t>(victim.ring), 0);
  return done < 0 ? (done == -EACCES ? EPERM : static_cast<int>(-done)) : 0;
}

}  // namespace

SealAttacks attacks_on_keys() {
  const auto ring = [](long (*change)(keyring::KeySerial)) -> TryOn {
    return [=](Victim& victim) { return refusal(change(victim.ring)); };
  };
  const auto key = [](long (*change)(keyring::KeySerial)) -> TryOn {
    return [=](Victim& victim) { return refusal(change(key_in(victim))); };
  };
  return {
      {"clear the keyring", kRing, EPERM, ring(::keyctl_clear)},
      {"revoke the keyring", kRing, EPERM, ring(::keyctl_revoke)},
      {"invalidate the keyring", kRing, EPERM, ring(::keyctl_invalidate)},
      {"invalidate it by int 0x80", kRing, EPERM, invalidate_by_int80},
      {"change its permissions", kRing, EPERM,
       [](Victim& victim) {
         return refusal(::keyctl_setperm(victim.ring, KEY_POS_ALL | KEY_USR_ALL));
       }},
      {"give it to somebody else", kRing, EPERM,
       [](Victim& victim) { return refusal(::keyctl_chown(victim.ring, 1, 1)); }},
      {"let it expire", kRing, EPERM,
       [](Victim& victim) { return refusal(::keyctl_set_timeout(victim.ring, 1)); }},
      {"restrict it", kRing, EPERM,
       [](Victim& victim) {
         return refusal(::keyctl_restrict_keyring(victim.ring, nullptr, nullptr));
       }},
      {"put another key in", kRing, EPERM,
       [](Victim& victim) { return refusal(::add_key("user", "another", "1", 1, victim.ring)); }},
      {"link another keyring into it", kRing, EPERM,
       [](Victim& victim) {
         const auto other = ::add_key("keyring", "other", nullptr, 0, KEY_SPEC_SESSION_KEYRING);
         return refusal(::keyctl_link(other, victim.ring));
       }},
      {"revoke a key in it", kRing, EPERM, key(::keyctl_revoke)},
      {"invalidate a key in it", kRing, EPERM, key(::keyctl_invalidate)},
      {"unlink a key from it", kRing, EPERM,
       [](Victim& victim) { return refusal(::keyctl_unlink(key_in(victim), victim.ring)); }},
      {"move a key out of it", kRing, EPERM,
       [](Victim& victim) {
         return refusal(::keyctl_move(key_in(victim), victim.ring, KEY_SPEC_SESSION_KEYRING, 0));
       }},
  };
}

}  // namespace bpfwarden::vm
