// An order handed to the kernel part (bpf-lsm/abi/order.h) by hand, as nothing of ours
// would.
#pragma once

#include <cerrno>
#include <cstdint>
#include <functional>
#include <vector>

#include "bpf-lsm/abi/order.h"
#include "keyring/kernel_keyring.h"
#include "loader/kernel/syscall.h"

namespace bpfwarden::vm {

using Bytes = std::vector<uint8_t>;

struct RawOrder {
  const Bytes* image = nullptr;
  std::vector<Bytes> signatures;
  keyring::KeySerial ring = 0;
  std::function<void(bw_order&)> change;
  bw_order_kind kind = BW_ORDER_APPLY;
  const Bytes* request = nullptr;

  // The errno; 0: it was taken.
  [[nodiscard]] int give() const {
    bw_order order = {};
    order.magic = BW_ORDER_MAGIC;
    order.kind = kind;
    if (image != nullptr) order.image = loader::as_u64(image->data());
    if (request != nullptr) order.request = loader::as_u64(request->data());
    for (const Bytes& signature : signatures) {
      order.signatures[order.signature_count] = loader::as_u64(signature.data());
      order.signature_sizes[order.signature_count++] = static_cast<uint32_t>(signature.size());
    }
    order.ring = order.sealed.ring = ring;
    if (change) change(order);
    int error = BW_ORDER_NOT_RESIDENT;  // pages may be gone for a moment: the kernel moves them
    for (int tries = 0; tries < 10 && error == BW_ORDER_NOT_RESIDENT; tries++) {
      touch();
      error = give_once(order);
    }
    return error;
  }

  void touch() const {
    volatile uint8_t seen = 0;
    for (const Bytes* bytes : {image, request})
      for (size_t at = 0; bytes != nullptr && at < bytes->size(); at += 4096) seen = (*bytes)[at];
    (void)seen;
  }

  static int give_once(const bw_order& order) {
    bpf_attr attr = {};
    attr.info.bpf_fd = UINT32_MAX;
    attr.info.info_len = sizeof(order);
    attr.info.info = loader::as_u64(&order);
    (void)loader::sys_bpf(BPF_OBJ_GET_INFO_BY_FD, attr);
    return errno == EBADFD ? 0 : errno;
  }
};

}  // namespace bpfwarden::vm
