#include "loader/policies/bpf_keyring.h"

#include <algorithm>
#include <cerrno>

#include "keyring/enrol.h"
#include "keyring/kernel_keyring.h"
#include "loader/btf/kernel_abilities.h"
#include "loader/policies/policy_store.h"

namespace bpfwarden::loader {

Result<size_t> keys_in_bpf_keyring() {
  const auto keys = keyring::ring_keys(keyring::kBpfKeyring);
  if (!keys && (keys.error().code == EINVAL || keys.error().code == ENOKEY))
    return fail_errno(keys.error().code, kNoBpfKeyring, kNoBpfKeyringHint);
  if (!is_kernel_setting_on(kBpfKeyringSetting))
    return fail(kBpfKeyringClosed, kBpfKeyringClosedHint);
  if (!keys) return fail_errno(keys.error().code, "the keyring .bpf cannot be read", "run as root");
  return keys->size();
}

Result<bool> confirmed_policy_wants_bpf_keyring() {
  if (!has_saved_for_boot()) return false;
  const auto saved = load_for_boot();
  if (!saved) return std::unexpected(saved.error());
  return std::ranges::any_of(saved->compiled->policy.keys, [](const policy::Key& key) {
    return key.keyring == policy::SystemKeyring::bpf;
  });
}

}  // namespace bpfwarden::loader
