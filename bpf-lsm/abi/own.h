// bpfwarden's own objects in the kernel, and who may reach for them without being told of. Written
// by the manager when it pins them (loader/kernel/own_objects.cpp), read by own_objects.bpf.h.
#pragma once

#include "bpf-lsm/abi/types.h"

enum {
  BW_MAX_OWN = 512,
  BW_MAX_MANAGERS = 64,
  BW_OWN_NAME_SIZE = 64,
};

enum bw_own_kind {
  BW_OWN_PROGRAM = 1,
  BW_OWN_MAP = 2,
  BW_OWN_LINK = 3,
  BW_OWN_BTF = 4,
  BW_OWN_FOLDER = 5,  // of the pins; its id is the number of its inode
  BW_OWN_FLOOR = 6,   // what all rests on; its id is of enum bw_own_floor
};

enum bw_own_floor {
  BW_OWN_FTRACE = 1,  // kernel.ftrace_enabled
  BW_OWN_GUARD = 2,   // what is attached as LSM_CGROUP
};

// bw_own.access: who may have a descriptor of a map, once the host is sealed.
enum {
  BW_OWN_CLOSED = 0,
  BW_OWN_READABLE = 1,  // one that only reads
  BW_OWN_SHARED = 2,    // any: rings, whose readers write how far they are
  BW_OWN_OPEN = 3,      // any, and nobody is told: what is in it is trusted by nobody
};

// The key of the map `own`.
struct bw_own_key {
  __u32 kind;  // enum bw_own_kind
  __u32 id;
};

struct bw_own {
  char name[BW_OWN_NAME_SIZE];  // "map control"; NUL padded
  __u32 access;                 // BW_OWN_*
  __u32 device;                 // super_block.s_dev of a folder
};

// The key of the map `own_shapes`: what a map of maps takes for a map of ours
// (kernel/bpf/map_in_map.c).
struct bw_own_shape {
  __u32 type, key_size, value_size, flags;
  __u32 max_entries;  // of arrays; else 0
};

// The key of the map `managers`: an executable, as the kernel numbers it.
struct bw_manager {
  __u64 inode;
  __u32 device;  // super_block.s_dev
  __u32 reserved;
};

BW_STATIC_ASSERT(sizeof(struct bw_own_key) == 8, "bw_own_key");
BW_STATIC_ASSERT(sizeof(struct bw_own) == 72, "bw_own");
BW_STATIC_ASSERT(sizeof(struct bw_own_shape) == 20, "bw_own_shape has no padding");
BW_STATIC_ASSERT(sizeof(struct bw_manager) == 16, "bw_manager has no padding");
