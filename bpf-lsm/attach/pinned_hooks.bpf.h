// Programs that a rule of iptables names by their paths in bpffs.
#pragma once

#include "bpf-lsm/attach/attach.bpf.h"

// Outside of bpf(2), only xt_bpf comes here: with a program that a rule of iptables names by its
// path, within setsockopt(2) or a message of netlink. So it is judged on the very program that the
// table gets.
SEC("lsm/bpf_prog")
int BPF_PROG(attach_pinned, struct bpf_prog* prog, int ret) {
  struct task_note* note = task_note(0);
  struct attachment* at = note ? &note->attachment : 0;
  __u64 address = 0;  // as judge_attachment() takes it
  if (ret || !at) return ret;
  if (at->route != BW_ROUTE_SETSOCKOPT && at->route != BW_ROUTE_NETLINK) return 0;
  if (!asks_at_attach()) return 0;
  if (bpf_get_func_arg(ctx, 0, &address)) return -EPERM;
  at->watch.program_aux = (__u64)BPF_CORE_READ(prog, aux);
  const __u8 shared = at->watch.shared;
  at->watch.shared = 0;
  const int error = judge_attachment(note, address);
  at->watch.shared = shared;
  return error_of(error);
}
