// Whether the host is sealed (docs/adr/0017): until the next boot nobody changes the policy in the
// kernel, nor what decides by it.
#pragma once

#include "bpf-lsm/note.bpf.h"

// That no process can write the control word any more is the seal itself, so nothing is in between.
static __always_inline bool host_is_sealed(void) {
  return ((const struct bpf_map*)&control)->frozen;
}

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
  if (!host_is_sealed()) return answer;
  struct task_note* note = task_note(answer ? 0 : BPF_LOCAL_STORAGE_GET_F_CREATE);
  if (!note) return answer;
  if (answer)
    note->tokens &= ~(1U << hook);
  else
    note->tokens |= 1U << hook;
  return answer;
}
