// open(2) of an iterator that is pinned, and of the files that append probes.
#pragma once

#include "bpf-lsm/attach/probe_files.bpf.h"
#include "bpf-lsm/seal/own_objects.bpf.h"

extern const void bpf_iter_fops __ksym __weak;

// Its program runs whenever the file is read, without a call of bpf(2): kernel/bpf/bpf_iter.c,
// iter_open().
static __always_inline int judge_opened(struct bpf_link* link) {
  const int error = reach_iterated(link);
  if (error) return error;
  struct bpf_prog* prog = BPF_CORE_READ(link, prog);
  if (!prog || !asks_at_attach()) return 0;
  struct task_note* note = new_attachment(BW_ROUTE_ITER_CREATE);
  if (!note) return refuse_blind(BW_HOOK_ATTACH);
  take_point_of_load(&note->attachment, prog);
  return judge_program(note, prog);
}

SEC("lsm/file_open")
int BPF_PROG(attach_opened, struct file* file, int ret) {
  if (ret) return ret;
  if (file->f_op == &bpf_iter_fops) return judge_opened(BPF_CORE_READ(file, f_inode, i_private));
  if (!(file->f_mode & FMODE_WRITE)) return 0;
  if (is_ftrace_switch(file))
    return error_of(reach_own(BW_OWN_FLOOR, BW_OWN_FTRACE, BW_ROUTE_OWN_SET));
  tell_of_growing(file);
  return 0;
}
