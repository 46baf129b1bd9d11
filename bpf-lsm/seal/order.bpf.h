// Orders: a signed policy takes the place of the active one, or is asked beside it; signed requests
// (request.bpf.h). The one way to change a sealed host.
//
// The bytes are copied into a slot that nobody but these programs can write, verified there, and
// made active from there: what was verified is what decides. Memory that is not resident is an
// error, so that nobody holds the lock by keeping a page from coming.
#pragma once

#include "bpf-lsm/seal/request.bpf.h"

// Of the deciding image, by which the order is judged, and of the one it brings.
static __always_inline int judge_ordered(const struct bw_control* word, const struct bw_image* now,
                                         const struct bw_image* next) {
  if (next->magic != BW_IMAGE_MAGIC || next->abi != BW_IMAGE_ABI ||
      next->size != sizeof(struct bw_image))
    return -BW_ORDER_OTHER_ABI;
  if (!same_policy_name(now->policy_name, next->policy_name)) return -BW_ORDER_OTHER_NAME;
  return next->policy_version > now->policy_version && next->policy_version > word->taken_back
             ? 0
             : -BW_ORDER_OLDER;
}

static __always_inline void stage(struct bw_control* word, __u64 number) {
  word->last = number;
  word->staged_since = bpf_ktime_get_tai_ns() / 1000000000;
  *(volatile __u64*)&word->staged_signed = number;
  *(volatile __u64*)&word->staged = number;
}

static __always_inline int take_policy(struct bw_control* word, const struct bw_image* now,
                                       struct order_under_way* way) {
  struct bw_image* next = empty_slot(way);
  if (!next) return -BW_ORDER_NO_ROOM;
  if (bpf_probe_read_user(next, BW_IMAGE_SIGNED_SIZE, (const void*)way->order.image))
    return -BW_ORDER_NOT_RESIDENT;
  int error = judge_ordered(word, now, next);
  if (!error) error = require_signatures(now, way);
  if (error) return error;
  if (!add_hosts_part(next, now, way)) return -BW_ORDER_NOT_RESIDENT;
  *(volatile __u64*)&next->generation = way->slot_number;
  if (way->order.kind == BW_ORDER_STAGE)
    stage(word, way->slot_number);
  else
    flip(word, way->slot_number, next->confirm_within_s);
  return 0;
}

// What was staged by an order was verified then, by whom the active policy names: with any other
// active policy nothing is staged.
static __always_inline int promote(struct bw_control* word, const struct bw_image* now,
                                   const struct order_under_way* way) {
  const __u64 number = word->staged;
  struct bw_image* next = number ? image_in_slot(number) : 0;
  if (!next || next->generation != number || word->staged_signed != number)
    return -BW_ORDER_UNSIGNED;
  const int error = judge_ordered(word, now, next);
  if (error) return error;
  if (!add_hosts_part(next, now, way)) return -BW_ORDER_NOT_RESIDENT;
  flip(word, number, next->confirm_within_s);
  return 0;
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
  if (!word || !now || !now->policy_signers || is_released()) return -BW_ORDER_NOT_ALLOWED;
  switch (way->order.kind) {
    case BW_ORDER_CONFIRM:
      return confirm(word);
    case BW_ORDER_CHALLENGE:
      make_challenge(word);
      return 0;
    case BW_ORDER_REQUEST:
      return take_request(word, now, way);
    case BW_ORDER_APPLY:
    case BW_ORDER_STAGE:
      return awaits_confirmation(word) ? -BW_ORDER_BUSY : take_policy(word, now, way);
    case BW_ORDER_PROMOTE:
      return awaits_confirmation(word) ? -BW_ORDER_BUSY : promote(word, now, way);
    default:
      return -BW_ORDER_OTHER_ABI;
  }
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
