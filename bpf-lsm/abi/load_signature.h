// The signature of a load, where the kernel has no place for it: beside the call, in the map
// `load_signatures`, which belongs to the task that loads. Whoever may write there may, and nothing
// there is trusted: docs/adr/0019.
#pragma once

#include "bpf-lsm/abi/types.h"

// The kernel freezes no map that has a lock in it: so nobody can keep all others from loading.
#ifdef __bpf__
struct bpf_spin_lock {
  __u32 val;
};
#else
#include <linux/bpf.h>
#endif

enum {
  // The kernel takes 8 KiB for its own; since Linux 7.0 a task's entry, with what the kernel keeps
  // of it, has no more room altogether.
  BW_LOAD_SIGNATURE_SIZE = 7936,
  BW_VERIFY_SLOTS = 2,               // loads that are verified at once
  BW_VERIFY_SIZE = 8 * 1024 * 1024,  // instructions and map of one of them
};

// bw_load_signature.flags
enum {
  BW_COVERS_MAP = 1,  // it is over the instructions, and the value of the map that the task made
};

struct bw_load_signature {
  __u32 size;     // of `bytes`; 0: there is none
  __s32 keyring;  // as bpf_attr.keyring_id: 0, 1, 2 are the kernel's own, others a serial
  __u32 flags;
  struct bpf_spin_lock lock;           // that nobody takes: see above
  __u8 bytes[BW_LOAD_SIGNATURE_SIZE];  // CMS SignedData, in DER
};

// What a signature gets that is not taken: as the kernel has it for its own.
enum bw_load_error {
  BW_LOAD_BUSY = 11,        // EAGAIN: all slots are taken; try again
  BW_LOAD_NO_MAP = 22,      // EINVAL: the task has made no map that it could cover
  BW_LOAD_OPEN_MAP = 1,     // EPERM: the map is not frozen, or was another program's
  BW_LOAD_SHARED_MAP = 16,  // EBUSY: somebody else has the map; try again
  BW_LOAD_TOO_LONG = 7,     // E2BIG
  BW_LOAD_NO_RING = 126,    // ENOKEY
  BW_LOAD_NO_ROOM = 12,     // ENOMEM
};

BW_STATIC_ASSERT(sizeof(struct bw_load_signature) == 16 + BW_LOAD_SIGNATURE_SIZE,
                 "bw_load_signature");
