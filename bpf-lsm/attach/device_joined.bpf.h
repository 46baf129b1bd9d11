// Programs that a device gets without any descriptor, because it joins what has them already: a
// bond with XDP, a block of filters that devices share, an action that a filter names by its
// number. The programs were judged when they went there: filters of a block and actions at no place
// that is known, so by rules without a place; those of the bond at the bond. By now another policy
// may be in force, and the device another one. As where a device is renamed: it can be refused no
// more, and an event tells what the policy says.
#pragma once

#include "bpf-lsm/attach/device_moved.bpf.h"

enum { MAX_CHAINS = 64 };  // of one block that are looked at

// How net/sched/act_bpf.c goes on after the action that all kinds have: a module's, as cls_bpf is.
static __always_inline struct bpf_prog* program_of_action(struct tc_action* action) {
  char kind[4] = {};
  struct bpf_prog* prog = 0;
  const struct tc_action_ops* ops = BPF_CORE_READ(action, ops);
  if (!ops || bpf_probe_read_kernel(kind, sizeof(kind), ops->kind)) return 0;
  if (kind[0] != 'b' || kind[1] != 'p' || kind[2] != 'f' || kind[3]) return 0;
  const void* at = (void*)action + bpf_core_type_size(struct tc_action);
  if (bpf_probe_read_kernel(&prog, sizeof(prog), at) || !prog) return 0;
  if (BPF_CORE_READ(prog, aux, prog) != prog) return 0;
  return is_of(prog, ONE_TYPE(BPF_PROG_TYPE_SCHED_ACT)) ? prog : 0;  // classic ones are not
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

__noinline int judge_chain(__u64 address) {
  judge_filter_list(BPF_CORE_READ((struct tcf_chain*)address, filter_chain));
  return 0;
}

__noinline int judge_block(__u64 address) {
  struct tcf_block* block = (struct tcf_block*)address;
  const __u64 head = address + bpf_core_field_offset(struct tcf_block, chain_list);
  struct list_head* node = block ? BPF_CORE_READ(block, chain_list.next) : 0;
  int i;
  bpf_for(i, 0, MAX_CHAINS) {
    if (!node || (__u64)node == head) return 0;
    judge_chain((__u64)node - bpf_core_field_offset(struct tcf_chain, list));
    node = BPF_CORE_READ(node, next);
  }
  return judge_again(0);
}

// Where the function puts the address of what it has found. Before Linux 7.0 the verifier lets no
// argument be read from the context that points to a pointer.
static __always_inline __u64 found_by(void* context, __u32 argument) {
  __u64 where = 0, found = 0;
  if (bpf_get_func_arg(context, argument, &where)) return 0;
  return bpf_probe_read_kernel(&found, sizeof(found), (const void*)where) ? 0 : found;
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
