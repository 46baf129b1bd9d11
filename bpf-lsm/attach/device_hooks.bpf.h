// Devices that take programs along, or get some by joining what has them.
#pragma once

#include "bpf-lsm/attach/device_joined.bpf.h"

// Also where it gets the name that it has.
SEC("fexit/netif_change_name")
int BPF_PROG(device_renamed, struct net_device* device, const char* name, int ret) {
  return ret ? 0 : judge_device(ctx, BW_ROUTE_DEVICE_RENAMED);
}

// Also when a namespace ends and its devices fall back to init's, by a worker of the kernel.
SEC("fexit/__dev_change_net_namespace")
int BPF_PROG(device_moved, struct net_device* device, struct net* net, const char* pattern,
             int ifindex, void* extack, int ret) {
  return ret ? 0 : judge_device(ctx, BW_ROUTE_DEVICE_MOVED);
}

// What a bond has goes to each of its devices: to one that is enslaved, by whichever way, and to
// all when the bond gets another program.
SEC("fexit/dev_xdp_propagate")
int BPF_PROG(device_enslaved, struct net_device* device, struct netdev_bpf* xdp, int ret) {
  __u64 address = 0;
  struct bpf_prog* prog = BPF_CORE_READ(xdp, prog);
  if (ret || BPF_CORE_READ(xdp, command) != XDP_SETUP_PROG || !prog || !asks_at_attach()) return 0;
  struct task_note* note = begin_again(BW_ROUTE_DEVICE_JOINED);
  if (!note) return 0;
  bpf_get_func_arg(ctx, 0, &address);
  name_device(address);
  judge_again_as(note, BPF_XDP, prog);
  end_again(note);
  return 0;
}

SEC("fexit/tcf_block_get_ext")
int BPF_PROG(block_bound, struct tcf_block** made, struct Qdisc* qdisc,
             struct tcf_block_ext_info* info, void* extack, int ret) {
  if (ret || !BPF_CORE_READ(info, block_index) || !asks_at_attach()) return 0;
  struct task_note* note = begin_again(BW_ROUTE_DEVICE_JOINED);
  if (!note) return 0;
  name_device((__u64)BPF_CORE_READ(qdisc, dev_queue, dev));
  judge_block(found_by(ctx, 0));
  end_again(note);
  return 0;
}

// An action has no place, whatever filter it goes to.
SEC("fexit/tcf_idr_check_alloc")
int BPF_PROG(action_bound, void* actions, __u32* index, struct tc_action** made, int bind,
             int ret) {
  if (ret <= 0 || !bind || !asks_at_attach()) return 0;
  struct tc_action* action = (void*)found_by(ctx, 2);
  if (!action) return 0;
  struct bpf_prog* prog = program_of_action(action);
  struct task_note* note = prog ? begin_again(BW_ROUTE_DEVICE_JOINED) : 0;
  if (!note) return 0;
  judge_again((__u64)prog);
  end_again(note);
  return 0;
}
