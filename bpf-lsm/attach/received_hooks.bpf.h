// Descriptors from another process, by pidfd_getfd(2) or SCM_RIGHTS.
#pragma once

#include "bpf-lsm/attach/raced.bpf.h"
#include "bpf-lsm/loader_maps.bpf.h"

static __always_inline int judge_received_link(struct bpf_link* link) {
  __u64 generation = 0;
  const __u64 aux = raced_program(link);
  if (!aux || !decides_at_attach(active_image(&generation))) return 0;
  return refuse_raced(aux);
}

SEC("lsm/file_receive")
int BPF_PROG(receive_file, struct file* file, int ret) {
  if (ret) return ret;
  if (file->f_op == &bpf_map_fops) return is_of_others_run((__u64)file->private_data) ? -EBADF : 0;
  return is_link(file->f_op) ? judge_received_link(file->private_data) : 0;
}
