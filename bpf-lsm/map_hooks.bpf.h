// Maps of signed loaders, from when they are made until they are freed.
#pragma once

#include "bpf-lsm/loader_maps.bpf.h"
#include "bpf-lsm/provenance.bpf.h"
#include "bpf-lsm/seal/own_objects.bpf.h"
#include "bpf-lsm/system_call.bpf.h"
#include "bpf-lsm/verify/signed_maps.bpf.h"

static __always_inline int refuse_map(enum bw_cause cause, bool kernel) {
  struct bw_program* record = new_draft(task_note(BPF_LOCAL_STORAGE_GET_F_CREATE));
  if (!record) return refuse_blind(BW_HOOK_MAP_CREATE);
  record->facts.origin = kernel ? BW_ORIGIN_KERNEL : BW_ORIGIN_USER;
  return refuse_for(cause, BW_HOOK_MAP_CREATE, record, 0);
}

// Here a map of a loader is noted as its own: before the next hook anybody can ask for its number.
static __always_inline int judge_map(struct bpf_map* map, union bpf_attr* attr, bool kernel) {
  const struct task_note* note = kernel ? task_note(0) : 0;
  if (note && note->run.aux && note->run.signature != BW_SIGNATURE_UNSIGNED &&
      !note_loader_map((__u64)map, note->run.aux, note->run.id, false))
    return refuse_map(BW_CAUSE_TABLE_FULL, kernel);
  if (verifies_here() && !kernel && has_signed_shape(map) && !note_signed_map(map))
    return refuse_map(BW_CAUSE_TABLE_FULL, kernel);
  if (!BW_KERNEL_HAS(exclusive_maps)) return 0;
  if (!attr->excl_prog_hash || !(attr->map_flags & BPF_F_MMAPABLE)) return 0;
  return refuse_map(BW_CAUSE_WRITABLE_EXCLUSIVE_MAP, kernel);
}

SEC("lsm/bpf_map_create")
int BPF_PROG(warden_map_create, struct bpf_map* map, union bpf_attr* attr) {
  const bool kernel = is_kernel_call(ctx, 3, BPF_MAP_CREATE);
  return leave_token(GUARDED_MAP_CREATE, judge_map(map, attr, kernel));
}

static __always_inline int judge_giving(struct bpf_map* map, unsigned int mode) {
  const int error = reach_map(map, mode);
  if (error) return error;
  return is_of_others_run((__u64)map) ? -ENOENT : 0;
}

// By its number, or where it is pinned. What makes it comes here, too. From another process: see
// attach/received_hooks.bpf.h.
SEC("lsm/bpf_map")
int BPF_PROG(give_map, struct bpf_map* map, unsigned int mode, int ret) {
  return leave_token(GUARDED_MAP, ret ? ret : judge_giving(map, mode));
}

SEC("lsm/bpf_map_free")
int BPF_PROG(forget_map, struct bpf_map* map) {
  __u64 key = (__u64)map;
  bpf_map_delete_elem(&loader_maps, &key);
  if (verifies_here()) bpf_map_delete_elem(&signed_maps, &key);
  return 0;
}
