// The end of a system call, for those few that something is still to be done at: the task itself
// comes by on its way back to user space (kernel/bpf/helpers.c, bpf_task_work). By whichever entry
// of the kernel it came, and unlike at the end of a traced function: nothing can have that skipped.
#pragma once

#include "bpf-lsm/maps.bpf.h"
#include "bpf-lsm/system_call.bpf.h"

#define MAX_ENDS 65536

typedef int (*call_end_t)(struct bpf_map* map, void* key, void* value);

// In Linux 6.18 the second, in later ones the first. There a function by the second name is in BTF
// alone: its last argument is of another type, so that libbpf does not take it for this one.
int bpf_task_work_schedule_resume(struct task_struct* task, struct bpf_task_work* work, void* map,
                                  call_end_t callback) __ksym __weak;
int bpf_task_work_schedule_resume_impl(struct task_struct* task, struct bpf_task_work* work,
                                       void* map, call_end_t callback,
                                       void* aux__prog) __ksym __weak;

struct call_end {
  struct bpf_task_work work;
};

// By thread id.
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, MAX_ENDS);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, __u32);
  __type(value, struct call_end);
} ends SEC(".maps");

static __always_inline int schedule_end(struct task_struct* task, struct call_end* end,
                                        call_end_t callback) {
  if (BW_KERNEL_HAS(task_work))
    return bpf_task_work_schedule_resume(task, &end->work, &ends, callback);
  if (BW_KERNEL_HAS(task_work_impl))
    return bpf_task_work_schedule_resume_impl(task, &end->work, &ends, callback, 0);
  return -1;
}

// Has `callback` called at the end of the system call that this task is in; it ends with
// forget_end(). False if that cannot be.
static __always_inline bool await_end(call_end_t callback) {
  static const struct call_end none = {};
  const __u32 thread = (__u32)bpf_get_current_pid_tgid();
  bpf_map_update_elem(&ends, &thread, &none, BPF_NOEXIST);
  struct call_end* end = bpf_map_lookup_elem(&ends, &thread);
  if (!end) return false;
  if (!schedule_end(bpf_get_current_task_btf(), end, callback)) return true;
  bpf_map_delete_elem(&ends, &thread);
  return false;
}

static __always_inline void forget_end(void) {
  const __u32 thread = (__u32)bpf_get_current_pid_tgid();
  bpf_map_delete_elem(&ends, &thread);
}
