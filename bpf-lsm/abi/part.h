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

BW_STATIC_ASSERT(sizeof(struct bw_part) == 64, "bw_part");
