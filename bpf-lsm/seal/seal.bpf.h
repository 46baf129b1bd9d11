// Whether the host is sealed (docs/adr/0017): until the next boot nobody changes the policy in the
// kernel, nor what decides by it, but those who may sign (docs/adr/0018, 0022).
#pragma once

#include "bpf-lsm/note.bpf.h"

static __always_inline bool is_released(void) {
  const struct bw_successor* other = bpf_map_lookup_elem(&successor, ARRAY_ZERO);
  return other && other->is_asleep == BW_RELEASED;
}

// That no process can write the control word any more is the seal itself, so nothing is in between.
// It ends by a word that the kernel part alone can write then.
static __always_inline bool host_is_sealed(void) { return control_is_frozen() && !is_released(); }

// The hooks that have a guard (guard_hooks.bpf.h): as many as there are slots for LSM_CGROUP.
enum guarded {
  GUARDED_BPF,
  GUARDED_PROG_LOAD,
  GUARDED_PROG,
  GUARDED_MAP,
  GUARDED_MAP_CREATE,
  GUARDED_IOCTL,
  GUARDED_IOCTL_COMPAT,
  GUARDED_SETSOCKOPT,
  GUARDED_NETLINK,
};

// What a guarded hook returns. If it lets the call pass it leaves a token in the task, which the
// guard behind it takes.
static __always_inline int leave_token(enum guarded hook, int answer) {
  if (!control_is_frozen()) return answer;
  struct task_note* note = task_note(answer ? 0 : BPF_LOCAL_STORAGE_GET_F_CREATE);
  if (!note) return answer;
  if (answer)
    note->tokens &= ~(1U << hook);
  else
    note->tokens |= 1U << hook;
  return answer;
}
