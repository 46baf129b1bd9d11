// The order under way, and who has signed it: the bytes of a policy in the slot that it is to be
// active in, or those of a request beside the order. Both are copies that only these programs can
// write, so what was verified is what is acted upon.
#pragma once

#include "bpf-lsm/abi/order.h"
#include "bpf-lsm/signed_by.bpf.h"
#include "bpf-lsm/verify/pkcs7.bpf.h"

// The one order under way.
struct order_under_way {
  __u64 owner;  // the task's pid_tgid + 1; 0: none. Taken by compare-and-swap
  __u64 slot_number;
  __u64 signers;  // who have signed: a bit for each slot
  struct bw_order order;
  struct bw_request request;
  __u8 signature[BW_ORDER_SIGNATURE_SIZE];
};

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct order_under_way);
} order SEC(".maps");

static __always_inline struct bw_image* image_in_slot(__u64 number) {
  __u32 slot = number % BW_SLOTS;
  void* image_map = bpf_map_lookup_elem(&generations, &slot);
  return image_map ? bpf_map_lookup_elem(image_map, ARRAY_ZERO) : 0;
}

// What is signed: 0, or an error.
static __always_inline int bytes_of(struct order_under_way* way, struct bpf_dynptr* bytes) {
  if (way->order.kind == BW_ORDER_REQUEST)
    return bpf_dynptr_from_mem(&way->request, sizeof(way->request), 0, bytes);
  struct bw_image* next = image_in_slot(way->slot_number);
  return next ? bpf_dynptr_from_mem(next, BW_IMAGE_SIGNED_SIZE, 0, bytes) : -BW_ORDER_NO_ROOM;
}

static __always_inline int verify(struct order_under_way* way, __u32 size,
                                  struct bpf_key* keyring) {
  struct bpf_dynptr bytes, signature;
  if (bytes_of(way, &bytes)) return -BW_ORDER_NOT_RESIDENT;
  if (bpf_dynptr_from_mem(way->signature, size, 0, &signature)) return -BW_ORDER_NOT_RESIDENT;
  return bpf_verify_pkcs7_signature(&bytes, &signature, keyring);
}

static __always_inline int verify_by_ring(struct order_under_way* way, __u32 size) {
  struct bpf_key* keyring = bpf_lookup_user_key(way->order.ring, 0);
  if (!keyring) return -BW_ORDER_UNSIGNED;
  const int error = verify(way, size, keyring);
  bpf_key_put(keyring);
  return error;
}

// The nth signature: who made it becomes one of `signers`.
__noinline int take_signature(__u32 n, __u64 generation) {
  struct order_under_way* way = bpf_map_lookup_elem(&order, ARRAY_ZERO);
  struct task_note* note = task_note(0);
  if (!way || !note || n >= BW_MAX_ORDER_SIGNATURES) return -BW_ORDER_UNSIGNED;
  __u32 size = way->order.signature_sizes[n];
  if (!size) return -BW_ORDER_REJECTED;
  barrier_var(size);  // the verifier does not follow both bounds made into one
  if (size > BW_ORDER_SIGNATURE_SIZE) return -BW_ORDER_REJECTED;
  if (bpf_probe_read_user(way->signature, size, (const void*)way->order.signatures[n]))
    return -BW_ORDER_NOT_RESIDENT;
  note->signature.under_way = 1;
  note->signature.by.evidence = BW_EVIDENCE_NONE;
  const int error = verify_by_ring(way, size);
  note->signature.under_way = 0;
  // Somebody's whom the keyring does not have: it does not count, and is nothing wrong.
  if (error) return error == -BW_ORDER_UNSIGNED ? 0 : -BW_ORDER_REJECTED;
  const __u32 signer = (__u32)find_signer_in(generation, way->order.ring);
  if (signer != BW_SIGNER_UNKNOWN && signer < BW_MAX_SIGNERS) way->signers |= 1ULL << signer;
  return 0;
}

static __always_inline int require_signatures(const struct bw_image* now,
                                              struct order_under_way* way) {
  int i;
  way->signers = 0;
  bpf_for(i, 0, BW_MAX_ORDER_SIGNATURES) {
    if ((__u32)i >= way->order.signature_count) break;
    const int error = take_signature((__u32)i, now->generation);
    if (error) return error;
  }
  const __u64 counted = way->signers & now->policy_signers;
  __u32 count = 0;
  for (__u32 n = 0; n < BW_MAX_SIGNERS; n++) count += (counted >> n) & 1;
  return count && count >= now->policy_signatures ? 0 : -BW_ORDER_UNSIGNED;
}
