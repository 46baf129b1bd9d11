// Where the bytes are gathered that a signature covers: neither the stack nor a task's storage has
// room for them, and what is per processor is not the task's own while it sleeps.
//
// A slot is taken by compare-and-swap, and given back before the hook returns. Should its owner be
// gone nevertheless, the next one takes it over.
#pragma once

#include "bpf-lsm/abi/load_signature.h"
#include "bpf-lsm/maps.bpf.h"

#define VERIFY_CHUNK 4096

// The kernel's parser points into the signature while it verifies, so that is copied as well:
// nobody may change it between two looks.
struct verify_slot {
  __u8 signature[BW_LOAD_SIGNATURE_SIZE];
  __u8 bytes[BW_VERIFY_SIZE + VERIFY_CHUNK];  // a chunk more: see append_map()
};

// No type of its value: kernels that verify all by themselves get a small one (warden.cpp).
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, BW_VERIFY_SLOTS);
  __uint(key_size, sizeof(__u32));
  __uint(value_size, sizeof(struct verify_slot));
} verify_slots SEC(".maps");

struct verify_owners {
  __u64 owner[BW_VERIFY_SLOTS];  // mark_of() the task; 0: free
};

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct verify_owners);
} verify_owners SEC(".maps");

extern struct task_struct* bpf_task_from_pid(__s32 pid) __ksym __weak;
extern void bpf_task_release(struct task_struct* task) __ksym __weak;

// Its number and when it began: the number is given again.
static __always_inline __u64 mark_of(const struct task_struct* task) {
  const __u64 began = BPF_CORE_READ(task, start_boottime);
  return (__u64)(__u32)BPF_CORE_READ(task, pid) << 32 | (__u32)(began >> 10);
}

static __always_inline bool is_gone(__u64 mark) {
  struct task_struct* task = bpf_task_from_pid((__s32)(mark >> 32));
  if (!task) return true;
  const bool gone = mark_of(task) != mark || BPF_CORE_READ(task, exit_state);
  bpf_task_release(task);
  return gone;
}

// Negative: none is free.
static __always_inline int take_slot(__u64 me) {
  struct verify_owners* owners = bpf_map_lookup_elem(&verify_owners, ARRAY_ZERO);
  if (!owners) return -1;
  for (int i = 0; i < BW_VERIFY_SLOTS; i++) {
    const __u64 before = *(volatile __u64*)&owners->owner[i];
    if (before && !is_gone(before)) continue;
    if (__sync_val_compare_and_swap(&owners->owner[i], before, me) == before) return i;
  }
  return -1;
}

static __always_inline void give_back_slot(__u32 slot, __u64 me) {
  struct verify_owners* owners = bpf_map_lookup_elem(&verify_owners, ARRAY_ZERO);
  if (owners && slot < BW_VERIFY_SLOTS)
    __sync_val_compare_and_swap(&owners->owner[slot & (BW_VERIFY_SLOTS - 1)], me, 0);
}
