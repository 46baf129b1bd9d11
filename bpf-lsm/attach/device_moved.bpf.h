// A device that got another name, or went into another network namespace, has taken its programs
// along: each of them is judged again where it now is. It can be refused no more, so an event tells
// what the policy says.
//
// The kernel holds RTNL meanwhile, so nothing is attached or taken away. That also keeps a tracing
// program from being called within itself, for which the kernel would skip it.
#pragma once

#include "bpf-lsm/attach/attach.bpf.h"

enum {
  XDP_MODES = 3,       // generic, native, offloaded
  MAX_PROGRAMS = 64,   // that one hook of a device takes
  MAX_FILTERS = 1024,  // of one direction that are looked at
};

// How net/sched/cls_bpf.c begins that. It is a module, whose BTF need not be there when we are
// loaded: so this is not relocated, and what is read by it is checked.
struct cls_bpf_prog {
  struct bpf_prog* filter;
  struct list_head* next;
};

// ---- What is told -------------------------------------------------------------------------------

// Nobody gets an errno: counted as what audit mode lets through, and told with the mode in force.
static __always_inline void report_moved(struct task_note* note, const struct bw_image* image,
                                         struct bpf_prog* prog) {
  struct bw_decision* decision = &note->draft.decision;
  const __u8 mode = decision->mode;
  decision->mode = BW_MODE_AUDIT;
  report_draft(note, BW_HOOK_ATTACH, image->generation, aux_of(prog), mode);
}

static __always_inline void compare_moved(struct task_note* note, struct bpf_prog* prog) {
  const struct bw_image* staged = staged_image();
  struct bw_program* record = &note->draft;
  if (!decides_at_attach(staged)) return;
  if (record->staged_generation != staged->generation)
    record->staged_signer = bw_signer_by_digest(staged, record->signer_key);
  const bool agrees = judge_staged(record, staged, note);
  count_staged(staged->generation, agrees);
  if (!agrees) tell_difference(staged->generation, aux_of(prog), 0);
}

// ---- Judged again -------------------------------------------------------------------------------

// What no rule need be asked about: a program that the warden has no record of, or none that can be
// read.
static __always_inline void deny_moved(struct task_note* note, const struct bw_image* image,
                                       __u64 generation, struct bpf_prog* prog) {
  struct bw_program* record = new_draft(note);
  if (!record) return;
  const enum bw_cause cause = prog ? BW_CAUSE_NO_PROVENANCE : BW_CAUSE_MISSING_FACT;
  record->facts.prog_type = BPF_PROG_TYPE_SCHED_CLS;
  if (prog) describe_unknown(record, prog);
  set_facts(record, image, &note->attachment);
  record->generation = generation;
  record->policy_version = image->policy_version;
  deny_now(image, cause, record);
}

// One program, at note->attachment; 0: one that cannot be read. A global function, as
// judge_attachment() is.
__noinline int judge_again(__u64 address) {
  struct bpf_prog* prog = (struct bpf_prog*)address;
  struct task_note* note = task_note(0);
  __u64 generation = 0;
  const struct bw_image* image = active_image(&generation);
  if (!note || !image) return 0;
  const bool is_known = prog && recall(note, prog);
  if (!is_known && prog && is_resident(prog)) return 0;
  if (is_known) {
    judge_at(note, image, generation);
    compare_moved(note, prog);
  }
  if (!decides_at_attach(image)) return 0;
  if (!is_known) deny_moved(note, image, generation, prog);
  report_moved(note, image, prog);
  return 0;
}

// The calling task may be on its way to attach something, by the same call: what is noted of that
// stays.
static __always_inline struct task_note* begin_again(enum bw_route route) {
  struct task_note* note = task_note(BPF_LOCAL_STORAGE_GET_F_CREATE);
  if (!note) {
    count_dropped();
    return 0;
  }
  note->attachment_saved = note->attachment;
  note->destinations.count_saved = note->destinations.count;
  new_attachment(route);
  return note;
}

static __always_inline void end_again(struct task_note* note) {
  note->attachment = note->attachment_saved;
  note->destinations.count = note->destinations.count_saved;
}

static __always_inline void judge_again_as(struct task_note* note, __u32 attach_type,
                                           struct bpf_prog* prog) {
  note->attachment.attach_type = attach_type;
  judge_again((__u64)prog);
}

// ---- What is on a device ------------------------------------------------------------------------
// Global functions, which are handed the address of the device or of a list that it has.

// In one mode: the program of a link, or one without.
static __always_inline struct bpf_prog* xdp_program(struct net_device* device, int mode) {
  const __u32 size = bpf_core_type_size(struct bpf_xdp_entity);
  const void* states = (void*)device + bpf_core_field_offset(struct net_device, xdp_state);
  struct bpf_xdp_entity* at = (struct bpf_xdp_entity*)(states + (__u64)mode * size);
  struct bpf_xdp_link* link = BPF_CORE_READ(at, link);
  return link ? BPF_CORE_READ(link, link.prog) : BPF_CORE_READ(at, prog);
}

__noinline int judge_xdp(__u64 address) {
  struct task_note* note = task_note(0);
  int mode;
  if (!note) return 0;
  bpf_for(mode, 0, XDP_MODES) {
    struct bpf_prog* prog = xdp_program((struct net_device*)address, mode);
    if (prog) judge_again_as(note, BPF_XDP, prog);
  }
  return 0;
}

// Of tcx and of netkit: struct bpf_mprog_entry.
__noinline int judge_listed(__u64 address, __u32 attach_type) {
  struct task_note* note = task_note(0);
  const __u64 list = address + bpf_core_field_offset(struct bpf_mprog_entry, fp_items);
  const __u64 size = bpf_core_type_size(struct bpf_mprog_fp);
  int i;
  if (!note || !address) return 0;
  bpf_for(i, 0, MAX_PROGRAMS) {
    struct bpf_prog* prog = BPF_CORE_READ((struct bpf_mprog_fp*)(list + (__u64)i * size), prog);
    if (!prog) return 0;
    judge_again_as(note, attach_type, prog);
  }
  return 0;
}

// Those of one filter of tc. Classic programs are of another type.
__noinline int judge_filter(__u64 address) {
  struct task_note* note = task_note(0);
  struct list_head *head = (struct list_head*)address, *node = 0;
  int i;
  if (!note || bpf_probe_read_kernel(&node, sizeof(node), head)) return 0;
  note->attachment.attach_type = 0;
  bpf_for(i, 0, MAX_FILTERS) {
    struct cls_bpf_prog found = {};
    if (!node || node == head) return 0;
    const void* at = (void*)node - __builtin_offsetof(struct cls_bpf_prog, next);
    if (bpf_probe_read_kernel(&found, sizeof(found), at)) break;
    struct bpf_prog* prog = found.filter;
    if (BPF_CORE_READ(prog, aux, prog) != prog) break;
    if (is_of(prog, ONE_TYPE(BPF_PROG_TYPE_SCHED_CLS))) judge_again((__u64)prog);
    node = found.next;
  }
  return judge_again(0);
}

static __always_inline bool is_bpf_filter(struct tcf_proto* filter) {
  char kind[4] = {};
  const struct tcf_proto_ops* ops = BPF_CORE_READ(filter, ops);
  if (!ops || bpf_probe_read_kernel(kind, sizeof(kind), ops->kind)) return false;
  return kind[0] == 'b' && kind[1] == 'p' && kind[2] == 'f' && !kind[3];
}

// Of filters one after the other, those of kind bpf.
static __always_inline void judge_filter_list(struct tcf_proto* filter) {
  int i;
  bpf_for(i, 0, MAX_FILTERS) {
    if (!filter) return;
    if (is_bpf_filter(filter)) judge_filter((__u64)BPF_CORE_READ(filter, root));
    filter = BPF_CORE_READ(filter, next);
  }
}

// Of clsact and ingress, which keep their filters beside the list of tcx.
__noinline int judge_filters(__u64 address) {
  struct bpf_mprog_entry* list = (struct bpf_mprog_entry*)address;
  struct bpf_mprog_bundle* bundle = list ? BPF_CORE_READ(list, parent) : 0;
  if (!bundle) return 0;
  struct tcx_entry* entry = (void*)bundle - bpf_core_field_offset(struct tcx_entry, bundle);
  struct mini_Qdisc* qdisc = BPF_CORE_READ(entry, miniq);
  if (qdisc) judge_filter_list(BPF_CORE_READ(qdisc, filter_list));
  return 0;
}

__noinline int judge_tcx(__u64 address) {
  struct net_device* device = (struct net_device*)address;
  const __u64 ingress = (__u64)BPF_CORE_READ(device, tcx_ingress);
  const __u64 egress = (__u64)BPF_CORE_READ(device, tcx_egress);
  judge_listed(ingress, BPF_TCX_INGRESS);
  judge_filters(ingress);
  judge_listed(egress, BPF_TCX_EGRESS);
  judge_filters(egress);
  return 0;
}

static __always_inline struct netkit* netkit_of(struct net_device* device) {
  char kind[8] = {};
  const struct rtnl_link_ops* ops = BPF_CORE_READ(device, rtnl_link_ops);
  if (!BW_KERNEL_HAS(netkit) || !ops) return 0;
  if (bpf_probe_read_kernel_str(kind, sizeof(kind), BPF_CORE_READ(ops, kind)) < 0) return 0;
  if (__builtin_memcmp(kind, "netkit", 7)) return 0;
  return (void*)device + bpf_core_field_offset(struct net_device___private, priv);
}

// The programs of both ends are at the primary's name.
__noinline int judge_netkit(__u64 address) {
  struct netkit* netkit = netkit_of((struct net_device*)address);
  if (!netkit || !BPF_CORE_READ(netkit, primary)) return 0;
  judge_listed((__u64)BPF_CORE_READ(netkit, active), BPF_NETKIT_PRIMARY);
  struct net_device* peer = BPF_CORE_READ(netkit, peer);
  struct netkit* other = peer ? netkit_of(peer) : 0;
  if (other) judge_listed((__u64)BPF_CORE_READ(other, active), BPF_NETKIT_PEER);
  return 0;
}

static __always_inline int judge_device(void* context, enum bw_route route) {
  struct task_note* note = asks_at_attach() ? begin_again(route) : 0;
  if (!note) return 0;
  __u64 device = 0;
  bpf_get_func_arg(context, 0, &device);  // as an address, not as the verifier's pointer
  name_device(device);
  judge_xdp(device);
  judge_tcx(device);
  judge_netkit(device);
  end_again(note);
  return 0;
}
