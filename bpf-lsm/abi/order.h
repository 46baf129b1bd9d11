// A signed policy on its way to the kernel part: what the manager hands over, in a call of bpf(2)
// that means nothing to the kernel (docs/adr/0018). Whoever may call bpf(2) may; what counts is who
// signed.
#pragma once

#include "bpf-lsm/abi/image.h"

#define BW_ORDER_MAGIC 0x524544524f445242ULL

enum {
  BW_MAX_ORDER_SIGNATURES = 4,
  BW_ORDER_SIGNATURE_SIZE = 8192,  // as the kernel has it for those of programs
};

// Without an image: the policy that awaits its confirmation is confirmed. Those who signed it have
// let the host have that time.
struct bw_order {
  __u64 magic;
  __u64 image;                                // address of BW_IMAGE_SIGNED_SIZE bytes
  __u64 signatures[BW_MAX_ORDER_SIGNATURES];  // addresses of CMS SignedData over them, in DER
  __u32 signature_sizes[BW_MAX_ORDER_SIGNATURES];
  __u32 signature_count;
  __s32 ring;               // serial of a keyring that has the keys, of whomever it is
  struct bw_sealed sealed;  // of the host, see bw_image.sealed
};

// What a refused order gets. One that is taken gets EBADFD, of the call that means nothing.
enum bw_order_error {
  BW_ORDER_UNSIGNED = 126,     // ENOKEY: of the keys that may sign too few have
  BW_ORDER_REJECTED = 129,     // EKEYREJECTED: a signature is not over these bytes
  BW_ORDER_OLDER = 116,        // ESTALE: its version is not above the one that decides
  BW_ORDER_OTHER_NAME = 18,    // EXDEV: of another policy
  BW_ORDER_OTHER_ABI = 93,     // EPROTONOSUPPORT: no image of this kernel part
  BW_ORDER_BUSY = 16,          // EBUSY: another order is under way, or awaits its confirmation
  BW_ORDER_NO_ROOM = 28,       // ENOSPC: no slot is free
  BW_ORDER_NOT_RESIDENT = 14,  // EFAULT: its memory is not there; touch it, and try again
  BW_ORDER_NOT_ALLOWED = 13,   // EACCES: the policy that decides names nobody who may sign
};

BW_STATIC_ASSERT(sizeof(struct bw_order) == 8 * 6 + 4 * 6 + sizeof(struct bw_sealed), "bw_order");
