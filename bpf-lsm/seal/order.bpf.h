// A signed policy takes the place of the active one: the one way to change it on a sealed host.
//
// The bytes are copied into a slot that nobody but these programs can write, verified there, and
// made active from there: what was verified is what decides. Memory that is not resident is an
// error, so that nobody holds the lock by keeping a page from coming.
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
        takes_same_slot(number, word->unconfirmed))
      continue;
    if (image_in_slot(number)) return number;
  }
  return 0;
}

static __always_inline bool same_policy_name(const struct bw_image* one,
                                             const struct bw_image* other) {
  for (__u32 i = 0; i < BW_POLICY_NAME_SIZE; i++)
    if (one->policy_name[i] != other->policy_name[i]) return false;
  return true;
}

// Of the deciding image, by which the order is judged, and of the one it brings.
static __always_inline int judge_ordered(const struct bw_image* now, const struct bw_image* next) {
  if (next->magic != BW_IMAGE_MAGIC || next->abi != BW_IMAGE_ABI ||
      next->size != sizeof(struct bw_image))
    return -BW_ORDER_OTHER_ABI;
  if (!same_policy_name(now, next)) return -BW_ORDER_OTHER_NAME;
  return next->policy_version > now->policy_version ? 0 : -BW_ORDER_OLDER;
}

// ---- Who has signed -----------------------------------------------------------------------------

static __always_inline int verify(struct bw_image* next, struct order_under_way* way, __u32 size,
                                  struct bpf_key* keyring) {
  struct bpf_dynptr bytes, signature;
  if (bpf_dynptr_from_mem(next, BW_IMAGE_SIGNED_SIZE, 0, &bytes)) return -BW_ORDER_NOT_RESIDENT;
  if (bpf_dynptr_from_mem(way->signature, size, 0, &signature)) return -BW_ORDER_NOT_RESIDENT;
  return bpf_verify_pkcs7_signature(&bytes, &signature, keyring);
}

static __always_inline int verify_by_ring(struct bw_image* next, struct order_under_way* way,
                                          __u32 size) {
  struct bpf_key* keyring = bpf_lookup_user_key(way->order.ring, 0);
  if (!keyring) return -BW_ORDER_UNSIGNED;
  const int error = verify(next, way, size, keyring);
  bpf_key_put(keyring);
  return error;
}

// The nth signature: who made it becomes one of `signers`.
__noinline int take_signature(__u32 n, __u64 generation) {
  struct order_under_way* way = bpf_map_lookup_elem(&order, ARRAY_ZERO);
  struct task_note* note = task_note(0);
  if (!way || !note || n >= BW_MAX_ORDER_SIGNATURES) return -BW_ORDER_UNSIGNED;
  struct bw_image* next = image_in_slot(way->slot_number);
  __u32 size = way->order.signature_sizes[n];
  if (!next || !size) return -BW_ORDER_REJECTED;
  barrier_var(size);  // the verifier does not follow both bounds made into one
  if (size > BW_ORDER_SIGNATURE_SIZE) return -BW_ORDER_REJECTED;
  if (bpf_probe_read_user(way->signature, size, (const void*)way->order.signatures[n]))
    return -BW_ORDER_NOT_RESIDENT;
  note->signature.under_way = 1;
  note->signature.by.evidence = BW_EVIDENCE_NONE;
  const int error = verify_by_ring(next, way, size);
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

// ---- Taking its place ---------------------------------------------------------------------------

// Which mounts files are named by nobody signs: they stay those of the policy before.
static __always_inline bool keep_mounts(struct bw_image* next, const struct bw_image* now) {
  next->mount_count = now->mount_count;
  next->mounts_read_ns = now->mounts_read_ns;
  return !bpf_probe_read_kernel(next->mounts, sizeof(next->mounts), now->mounts);
}

// As the manager flips it (loader/policies/publish.cpp): what a change needs is written before.
static __always_inline void flip(struct bw_control* word, const struct bw_image* next,
                                 __u64 number) {
  const __u64 deciding = deciding_generation(word);
  const __u64 now_ns = bpf_ktime_get_boot_ns();
  if (word->generation != deciding) word->generation = deciding;  // nobody confirmed in time
  word->last = number;
  word->unconfirmed = 0;
  word->fallback = next->confirm_within_s ? deciding : 0;
  word->confirm_by_ns = now_ns + next->confirm_within_s * 1000000000ULL;
  word->previous = deciding;
  word->staged = word->staged_since = 0;
  word->active_since = bpf_ktime_get_tai_ns() / 1000000000;
  word->active_since_ns = now_ns;
  barrier();
  if (next->confirm_within_s) *(volatile __u64*)&word->unconfirmed = number;
  *(volatile __u64*)&word->ring_owner = number;
  *(volatile __u64*)&word->generation = number;
}

static __always_inline bool awaits_confirmation(const struct bw_control* word) {
  return word->generation && word->generation == word->unconfirmed &&
         bpf_ktime_get_boot_ns() < word->confirm_by_ns;
}

// Until `generation` is written nothing reads what is in the slot.
static __always_inline int fill_slot(struct order_under_way* way, const struct bw_image* now) {
  struct bw_image* next = image_in_slot(way->slot_number);
  if (!next) return -BW_ORDER_NO_ROOM;
  *(volatile __u64*)&next->generation = 0;
  barrier();
  if (bpf_probe_read_user(next, BW_IMAGE_SIGNED_SIZE, (const void*)way->order.image))
    return -BW_ORDER_NOT_RESIDENT;
  const int error = judge_ordered(now, next);
  if (error) return error;
  next->sealed = way->order.sealed;
  return keep_mounts(next, now) ? 0 : -BW_ORDER_NOT_RESIDENT;
}

static __always_inline int confirm(struct bw_control* word) {
  if (!awaits_confirmation(word)) return -BW_ORDER_OLDER;
  *(volatile __u64*)&word->unconfirmed = 0;
  return 0;
}

static __always_inline int take_locked(struct order_under_way* way) {
  struct bw_control* word = bpf_map_lookup_elem(&control, ARRAY_ZERO);
  __u64 generation = 0;
  const struct bw_image* now = active_image(&generation);
  if (!word || !now || !now->policy_signers) return -BW_ORDER_NOT_ALLOWED;
  if (!way->order.image) return confirm(word);
  if (awaits_confirmation(word)) return -BW_ORDER_BUSY;
  way->signers = 0;
  way->slot_number = free_number();
  if (!way->slot_number) return -BW_ORDER_NO_ROOM;
  int error = fill_slot(way, now);
  if (error) return error;
  error = require_signatures(now, way);
  if (error) return error;
  struct bw_image* next = image_in_slot(way->slot_number);
  if (!next) return -BW_ORDER_NO_ROOM;
  *(volatile __u64*)&next->generation = way->slot_number;
  flip(word, next, way->slot_number);
  return 0;
}

// A global function, which has the stack for itself. `address`: where the caller has its order.
__noinline int take_order_at(__u64 address) {
  struct order_under_way* way = bpf_map_lookup_elem(&order, ARRAY_ZERO);
  const __u64 me = bpf_get_current_pid_tgid() + 1;
  __u64 magic = 0;
  if (bpf_probe_read_user(&magic, sizeof(magic), (const void*)address)) return 0;
  if (magic != BW_ORDER_MAGIC || !way) return 0;
  if (!task_note(BPF_LOCAL_STORAGE_GET_F_CREATE)) return -BW_ORDER_NO_ROOM;
  if (__sync_val_compare_and_swap(&way->owner, 0, me)) return -BW_ORDER_BUSY;
  int error = -BW_ORDER_NOT_RESIDENT;
  if (!bpf_probe_read_user(&way->order, sizeof(way->order), (const void*)address))
    error = take_locked(way);
  __sync_val_compare_and_swap(&way->owner, me, 0);
  return error;
}

static __noinline void tell_refused_order(int error) {
  struct task_note* note = task_note(0);
  struct bw_program* record = new_draft(note);
  const struct bw_image* image = record ? active_image(&record->generation) : 0;
  if (!image) return;
  tell_postponed(note, record);
  draft_denial(record, image, BW_CAUSE_ORDER_REFUSED, BW_MODE_ENFORCE);
  tally(note, record);
  count(&record->decision, false);
  struct bw_event* event = begin_event(BW_HOOK_OWN, record->generation, &record->decision, 0,
                                       SUM_DRAFT | (__u32)error << SUM_ERROR);
  if (!event) return;
  event->refused = 1;
  event->error = error;
  describe_load(event, note, record, image, 0);
  end_event(event);
}

// In lsm.s/bpf: orders come as BPF_OBJ_GET_INFO_BY_FD of no descriptor. 0: it was none, or was
// taken.
static __always_inline int judge_order(int command, union bpf_attr* attr) {
  if (command != BPF_OBJ_GET_INFO_BY_FD || attr->info.bpf_fd != NO_DESCRIPTOR ||
      attr->info.info_len != sizeof(struct bw_order))
    return 0;
  const int error = take_order_at(attr->info.info);
  if (error >= 0 || error < -4095) return 0;
  tell_refused_order(-error);
  return error;
}
