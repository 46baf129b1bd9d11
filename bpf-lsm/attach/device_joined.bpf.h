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
