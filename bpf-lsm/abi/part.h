// Whose the kernel part is that is in the kernel, for a manager of another version: what it reads
// before anything else. This record never changes, and neither does the map `part`, which holds
// one.
//
// Change what is in a map that the manager opens (loader/kernel/pins.cpp), or what it means: raise
// BW_PART_ABI. tests/unit/bpf-lsm holds the number to the layout of the records.
#pragma once

#include "bpf-lsm/abi/types.h"

#define BW_PART_ABI 1

struct bw_part {
  __u32 abi;
  __u32 reserved;
  char version[56];  // of the bpfwarden that put it there; NUL-terminated
};

enum {
  BW_RELEASED = 2,  // by a signed order, written by the kernel part itself: none decides
};

// One element of the map `successor`, by which a kernel part is taken over from, by whichever
// version (docs/adr/0020). It never changes either. Frozen with the seal: then nobody takes over.
struct bw_successor {
  __u64 started;    // of the process: field 22 of /proc/PID/stat, since boot
  __u32 process;    // what this one loads is admitted, and where it attaches that; 0: none
  __u32 is_asleep;  // another kernel part decides in the place of this one; or BW_RELEASED
};

BW_STATIC_ASSERT(sizeof(struct bw_part) == 64, "bw_part");
BW_STATIC_ASSERT(sizeof(struct bw_successor) == 16, "bw_successor");
