// Who reaches for a process that attaches from what others can change, and is killed if they do
// (watch.bpf.h). From when the call is judged to its end, and from then on if it was killed,
// nobody attaches to the process: who does could write what it reads, hold it at its end
// (PTRACE_O_TRACEEXIT), or take its descriptors.
#pragma once

#include "bpf-lsm/attach/raced.bpf.h"
#include "bpf-lsm/attach/watch.bpf.h"

enum {
  PTRACE_MODE_ATTACH = 2,
  BPF_TASK_ITER_PROC_THREADS = 2,
};

int bpf_iter_task_new(struct bpf_iter_task* it, struct task_struct* task,
                      unsigned int flags) __ksym __weak;
struct task_struct* bpf_iter_task_next(struct bpf_iter_task* it) __ksym __weak;
void bpf_iter_task_destroy(struct bpf_iter_task* it) __ksym __weak;
struct task_struct* bpf_task_acquire(struct task_struct* task) __ksym __weak;
void bpf_task_release(struct task_struct* task) __ksym __weak;

// Of any of its threads: they have one memory, and mostly one table of descriptors.
static __always_inline const struct task_note* note_of_watched(struct task_struct* leader) {
  struct task_struct* thread;
  bpf_for_each(task, thread, leader, BPF_TASK_ITER_PROC_THREADS) {
    const struct task_note* note = bpf_task_storage_get(&notes, thread, 0, 0);
    if (note && (note->condemned || note->attachment.watch.held_to_end)) return note;
  }
  return 0;
}

static __always_inline int judge_reach(const struct task_note* note) {
  __u64 generation = 0;
  const struct bw_image* image = active_image(&generation);
  if (!decides_at_attach(image)) return 0;
  if (!bw_enforces_at(image, bpf_ktime_get_tai_ns() / 1000000000)) return 0;
  return error_of(refuse_taking(note->attachment.watch.program_aux, note->attachment.route));
}

SEC("lsm/ptrace_access_check")
int BPF_PROG(reach_process, struct task_struct* child, unsigned int mode, int ret) {
  if (ret || !(mode & PTRACE_MODE_ATTACH)) return ret;
  struct task_struct* leader = bpf_task_acquire(child->group_leader);
  if (!leader) return 0;
  const struct task_note* note = note_of_watched(leader);
  const int error = note ? judge_reach(note) : 0;
  bpf_task_release(leader);
  return error;
}
