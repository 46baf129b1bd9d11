// Signatures of loads that the kernel cannot verify (docs/adr/0019): verified here, over its own
// copy of the instructions and the value of the map that goes with them. Those are the bytes that
// Linux 7.3 verifies.
#pragma once

#include "bpf-lsm/signed_by.bpf.h"
#include "bpf-lsm/verify/pkcs7.bpf.h"
#include "bpf-lsm/verify/signed_maps.bpf.h"
#include "bpf-lsm/verify/slots.bpf.h"

// Of whoever loads; gone with it. User space finds the task by a pidfd.
struct {
  __uint(type, BPF_MAP_TYPE_TASK_STORAGE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, int);
  __type(value, struct bw_load_signature);
} load_signatures SEC(".maps");

// 0, and where they end; or an errno.
static __always_inline int gather_insns(struct verify_slot* slot, __u64 aux, __u32* end) {
  const struct bpf_prog* prog = BPF_CORE_READ((struct bpf_prog_aux*)aux, prog);
  const void* insns = (const void*)prog + bpf_core_field_offset(struct bpf_prog, insnsi);
  __u32 size = BPF_CORE_READ(prog, len);
  barrier_var(size);  // the verifier does not follow both bounds made into one
  if (size > BW_VERIFY_SIZE / 8) return BW_LOAD_TOO_LONG;
  size *= 8;
  if (bpf_probe_read_kernel(slot->bytes, size, insns)) return BW_LOAD_NO_ROOM;
  *end = size;
  return 0;
}

// By chunks: the verifier does not see that what is behind something has room as well.
static __always_inline int append_map(struct verify_slot* slot, __u64 map, __u32* end) {
  const struct bpf_map* made = bpf_core_cast((const void*)map, struct bpf_map);
  const void* value = (const void*)map + bpf_core_field_offset(struct bpf_array, value);
  const __u32 size = made->value_size, from = *end;
  int i;
  if (size > BW_VERIFY_SIZE || from > BW_VERIFY_SIZE - size) return BW_LOAD_TOO_LONG;
  bpf_for(i, 0, BW_VERIFY_SIZE / VERIFY_CHUNK) {
    const __u32 done = (__u32)i * VERIFY_CHUNK;
    if (done >= size) break;
    __u32 part = size - done;
    if (part > VERIFY_CHUNK) part = VERIFY_CHUNK;
    barrier_var(part);
    if (part > VERIFY_CHUNK) break;
    const __u32 at = (from + done) & (BW_VERIFY_SIZE - 1);
    if (bpf_probe_read_kernel(slot->bytes + at, part, value + done)) return BW_LOAD_NO_ROOM;
  }
  *end = from + size;
  return 0;
}

static __always_inline struct bpf_key* find_keyring(__s32 keyring) {
  if (keyring >= 0 && keyring <= 2) return bpf_lookup_system_key((__u64)keyring);
  return bpf_lookup_user_key(keyring, 0);
}

// As the kernel answers it: 0, or negative.
static __always_inline int ask_kernel(struct verify_slot* slot, __u32 size, __u32 signature_size,
                                      __s32 serial) {
  struct bpf_dynptr bytes, signature;
  struct bpf_key* keyring = find_keyring(serial);
  if (!keyring) return -BW_LOAD_NO_RING;
  int error = -BW_LOAD_TOO_LONG;
  barrier_var(size);
  if (size <= BW_VERIFY_SIZE && !bpf_dynptr_from_mem(slot->bytes, size, 0, &bytes) &&
      !bpf_dynptr_from_mem(slot->signature, signature_size, 0, &signature))
    error = bpf_verify_pkcs7_signature(&bytes, &signature, keyring);
  bpf_key_put(keyring);
  return error;
}

static __always_inline int verify_in_slot(__u32 index, struct task_note* note, __u64 aux,
                                          const struct bw_load_signature* load) {
  struct verify_slot* slot = bpf_map_lookup_elem(&verify_slots, &index);
  __u32 end = 0, size = load->size;
  const __u64 map = note->made_map;
  if (!slot) return BW_LOAD_NO_ROOM;
  barrier_var(size);
  if (!size || size > BW_LOAD_SIGNATURE_SIZE) return BW_LOAD_TOO_LONG;
  if (bpf_probe_read_kernel(slot->signature, size, load->bytes)) return BW_LOAD_NO_ROOM;
  note->signature.keyring = load->keyring;
  note->signature.covers_map = load->flags & BW_COVERS_MAP;
  int error = gather_insns(slot, aux, &end);
  if (!error && note->signature.covers_map) {
    error = claim_made_map(note, aux);
    if (!error) error = append_map(slot, map, &end);
  }
  if (error) return error;
  note->signature.under_way = 1;
  forget_signer(note);
  error = -ask_kernel(slot, end, size, note->signature.keyring);
  note->signature.under_way = 0;
  note->signature.verified_here = !error;
  return error;
}

static __always_inline int verify_by_slot(struct task_note* note, __u64 aux,
                                          const struct bw_load_signature* load) {
  const __u64 me = mark_of(bpf_get_current_task_btf());
  const int slot = take_slot(me);
  if (slot < 0) return BW_LOAD_BUSY;
  const int error = verify_in_slot((__u32)slot, note, aux, load);
  give_back_slot((__u32)slot, me);
  return error;
}

// Of the load in this task. 0: there is no signature, or it is good (note->signature says which);
// else a positive errno. Not asked is what lies beside a load that the kernel has verified. A
// global function, which has the stack for itself. `aux` is the address of prog->aux.
__noinline int verify_load(__u64 aux, __u32 is_verified_by_kernel) {
  struct task_note* note = task_note(0);
  struct bw_load_signature* load =
      bpf_task_storage_get(&load_signatures, bpf_get_current_task_btf(), 0, 0);
  if (!note || !load) return 0;
  const int error = is_verified_by_kernel ? 0 : verify_by_slot(note, aux, load);
  // It was for this load, whatever came of it.
  bpf_task_storage_delete(&load_signatures, bpf_get_current_task_btf());
  return error;
}
