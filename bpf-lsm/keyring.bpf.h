// Which keys are bpfwarden's own, and what a task wants of them. The serials come with the image:
// published before the flip, so that no generation decides with an unprotected ring.
#pragma once

#include "bpf-lsm/kernel/key_types.bpf.h"
#include "bpf-lsm/maps.bpf.h"
#include "bpf-lsm/system_call.bpf.h"

// enum key_need_perm of include/linux/key.h, as far as it changes something.
enum {
  KEY_NEED_WRITE = 3,
  KEY_NEED_SEARCH = 4,
  KEY_NEED_SETATTR = 6,
  KEY_NEED_UNLINK = 7,
  KEY_NEED_SYSADMIN_OVERRIDE = 8,
  KEY_NEED_AUTHTOKEN_OVERRIDE = 9,
};

#define KEYCTL_INVALIDATE 21

// It asks for no more than a search does.
static __always_inline bool is_invalidation(void) {
  return first_argument(SYS_KEYCTL, SYS_KEYCTL_32) == KEYCTL_INVALIDATE;
}

// Viewing, reading, searching and linking it elsewhere stay possible: loaders need them.
static __always_inline bool takes_away(int need) {
  switch (need) {
    case KEY_NEED_WRITE:
    case KEY_NEED_SETATTR:
    case KEY_NEED_UNLINK:
    case KEY_NEED_SYSADMIN_OVERRIDE:
    case KEY_NEED_AUTHTOKEN_OVERRIDE:
      return true;
    case KEY_NEED_SEARCH:
      return is_invalidation();
    default:
      return false;
  }
}

static __always_inline bool is_sealed(const struct bw_image* image, __s32 serial) {
  int i;
  if (serial == image->sealed.ring) return true;
  bpf_for(i, 0, (int)image->sealed.key_count) {
    __u32 n = (__u32)i;
    if (n >= BW_MAX_SEALED) break;
    if (image->sealed.keys[n] == serial) return true;
  }
  return false;
}

// The possession bit is the lowest of a key_ref_t.
static __always_inline __s32 serial_of(__u64 key_ref) {
  const struct key* key = (const void*)(key_ref & ~1ULL);
  return BPF_CORE_READ(key, serial);
}
