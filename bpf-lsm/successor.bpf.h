// A kernel part that takes over from this one (docs/adr/0020): its programs are loaded and attached
// while this one decides. Root says which process loads them, which could as well replace the
// policy; once the host is sealed, nobody can.
#pragma once

#include "bpf-lsm/provenance.bpf.h"

#define NS_PER_TICK 10000000  // of /proc/PID/stat: USER_HZ is 100 on x86-64

static __always_inline bool is_successor(void) {
  const struct bw_successor* one = bpf_map_lookup_elem(&successor, ARRAY_ZERO);
  const struct task_struct* task = bpf_get_current_task_btf();
  if (!one || !one->process || (__u32)task->tgid != one->process) return false;
  return task->group_leader->start_boottime / NS_PER_TICK == one->started && !control_is_frozen();
}

// Each look at it is let through, whoever looks; to anybody else it is a program without a signer.
static __always_inline int admit_successor(struct task_note* note, struct bpf_prog* prog) {
  const __u64 key = (__u64)prog->aux;
  struct bw_program* record = new_draft(note);
  if (!record || !active_image(&record->generation)) return refuse_blind(BW_HOOK_PROG_LOAD);
  describe_unknown(record, prog);
  record->program_id = 0;
  record->facts.signature = BW_SIGNATURE_UNSIGNED;
  record->facts.signer = BW_SIGNER_UNKNOWN;
  record->decision.rule = BW_NO_RULE;
  record->flags = BW_PROGRAM_SUCCESSOR;
  record->standing = BW_STANDING_CONFIRMED;
  return error_of(bpf_map_update_elem(&programs, &key, record, BPF_ANY) != 0);
}
