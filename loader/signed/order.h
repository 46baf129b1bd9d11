// An order, handed over to the kernel part, which verifies it and does what it says
// (bpf-lsm/seal/order.bpf.h): the way that a policy with `policy-signed-by` is replaced, and the
// only one on a sealed host.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "bpf-lsm/abi/order.h"
#include "keyring/kernel_keyring.h"

namespace bpfwarden::loader {

struct Order {
  bw_order_kind kind = BW_ORDER_APPLY;
  const bw_image* image = nullptr;      // its first BW_IMAGE_SIGNED_SIZE bytes are signed; borrowed
  const bw_request* request = nullptr;  // or all of this; borrowed
  std::span<const std::vector<uint8_t>> signatures;  // CMS SignedData, DER; borrowed
  keyring::KeySerial ring = 0;                       // that has the keys of who signed
  bw_sealed sealed = {};                             // the keyring of the new policy
};

// An empty slot in the map `generations` for each order that is to come before a reboot, as many as
// can be needed at once: nobody can add one once the host is sealed. Errors: errno of bpf(2).
[[nodiscard]] Status prepare_slots(int generations);

// Errors: what the kernel part says of it (abi/order.h), in words.
[[nodiscard]] Status send_order(const Order& order);

// An order to keep the policy that awaits its confirmation: it needs no signature, for those who
// signed it have let the host have that time.
[[nodiscard]] Status send_confirmation();

}  // namespace bpfwarden::loader
