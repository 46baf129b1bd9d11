// Where a policy goes that comes by an order, and how it takes its place: in a slot that holds
// nothing which is needed, by one store.
#pragma once

#include "bpf-lsm/seal/order_signers.bpf.h"

static __always_inline bool takes_same_slot(__u64 number, __u64 other) {
  return other && other % BW_SLOTS == number % BW_SLOTS;
}

// The next number whose slot has room, and holds nothing that is still needed; 0: there is none.
static __noinline __u64 free_number(void) {
  const struct bw_control* word = bpf_map_lookup_elem(&control, ARRAY_ZERO);
  int i;
  if (!word) return 0;
  const __u64 from = word->last > word->generation ? word->last : word->generation;
  bpf_for(i, 1, BW_SLOTS + 1) {
    const __u64 number = from + (__u64)i;
    if (takes_same_slot(number, word->generation) || takes_same_slot(number, word->fallback) ||
        takes_same_slot(number, word->staged) || takes_same_slot(number, word->ring_owner) ||
        takes_same_slot(number, word->unconfirmed) || takes_same_slot(number, word->previous))
      continue;
    if (image_in_slot(number)) return number;
  }
  return 0;
}

// Until `generation` is written nothing reads what is in the slot.
static __always_inline struct bw_image* empty_slot(struct order_under_way* way) {
  way->slot_number = free_number();
  struct bw_image* next = way->slot_number ? image_in_slot(way->slot_number) : 0;
  if (next) *(volatile __u64*)&next->generation = 0;
  barrier();
  return next;
}

// What nobody signs: the serials of its keyring, and which mounts files are named by, which stay
// those of the policy before.
static __always_inline bool add_hosts_part(struct bw_image* next, const struct bw_image* now,
                                           const struct order_under_way* way) {
  next->sealed = way->order.sealed;
  next->mount_count = now->mount_count;
  next->mounts_read_ns = now->mounts_read_ns;
  return !bpf_probe_read_kernel(next->mounts, sizeof(next->mounts), now->mounts);
}

static __always_inline bool awaits_confirmation(const struct bw_control* word) {
  return word->generation && word->generation == word->unconfirmed &&
         bpf_ktime_get_boot_ns() < word->confirm_by_ns;
}

// As the manager flips it (loader/policies/publish.cpp): what a change needs is written before.
// `within_s`: until it is confirmed; 0: it stays.
static __always_inline void flip(struct bw_control* word, __u64 number, __u64 within_s) {
  const __u64 deciding = deciding_generation(word);
  const __u64 now_ns = bpf_ktime_get_boot_ns();
  if (word->generation != deciding) word->generation = deciding;  // nobody confirmed in time
  if (number > word->last) word->last = number;
  word->unconfirmed = 0;
  word->fallback = within_s ? deciding : 0;
  word->confirm_by_ns = now_ns + within_s * 1000000000ULL;
  word->previous = deciding;
  word->staged = word->staged_since = word->staged_signed = 0;
  word->active_since = bpf_ktime_get_tai_ns() / 1000000000;
  word->active_since_ns = now_ns;
  barrier();
  if (within_s) *(volatile __u64*)&word->unconfirmed = number;
  *(volatile __u64*)&word->ring_owner = number;
  *(volatile __u64*)&word->generation = number;
}
