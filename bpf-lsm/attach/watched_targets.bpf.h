// Targets of a probe of many (bpf_targets.bpf.h), as the kernel has read them. The lists lie in the
// caller's memory, where others may write after they were judged. So they are judged once more, in
// the link that came of them, unless the program may go anywhere.
#pragma once

#include "bpf-lsm/attach/bpf_targets.bpf.h"
#include "bpf-lsm/attach/race.bpf.h"

#define container_of_link(address, type) \
  ((type*)((void*)(address) - bpf_core_field_offset(type, link)))

static __always_inline __u32 count_of(struct bpf_link* link, enum bpf_link_type type) {
  if (type == BPF_LINK_TYPE_KPROBE_MULTI)
    return BW_KERNEL_HAS(kprobe_multi_link)
               ? BPF_CORE_READ(container_of_link(link, struct bpf_kprobe_multi_link), cnt)
               : 0;
  if (type == BPF_LINK_TYPE_UPROBE_MULTI)
    return BPF_CORE_READ(container_of_link(link, struct bpf_uprobe_multi_link), cnt);
  return BW_KERNEL_HAS(tracing_multi_link)
             ? BPF_CORE_READ(container_of_link(link, struct bpf_tracing_multi_link), nodes_cnt)
             : 0;
}

static __always_inline void name_probed_function(struct bpf_kprobe_multi_link* link, __u32 index) {
  unsigned long address = 0;
  bpf_probe_read_kernel(&address, sizeof(address), BPF_CORE_READ(link, addrs) + index);
  name_function(address);
}

static __always_inline void name_probed_offset(struct task_note* note,
                                               struct bpf_uprobe_multi_link* link, __u32 index) {
  struct bpf_uprobe* uprobe =
      (void*)BPF_CORE_READ(link, uprobes) + (__u64)index * bpf_core_type_size(struct bpf_uprobe);
  name_probed(note, (void*)link + bpf_core_field_offset(struct bpf_uprobe_multi_link, path));
  note->attachment.target = note->probed_file;
  add_offset(&note->attachment.target, BPF_CORE_READ(uprobe, offset));
}

static __always_inline void name_traced_function(struct task_note* note,
                                                 struct bpf_tracing_multi_link* link, __u32 index) {
  struct bpf_tracing_multi_node* node =
      (void*)link + bpf_core_field_offset(struct bpf_tracing_multi_link, nodes) +
      (__u64)index * bpf_core_type_size(struct bpf_tracing_multi_node);
  const __u32 id = BPF_CORE_READ(node, trampoline, key) & 0x7fffffff;
  name_btf_id(BPF_CORE_READ(link, link.prog), id, &note->attachment.target);
}

// One target, by its number, as admits_watched() does.
__noinline int admits_target(__u64 address, __u32 index) {
  struct bpf_link* link = (struct bpf_link*)address;
  struct task_note* note = task_note(0);
  const enum bpf_link_type type = BPF_CORE_READ(link, type);
  if (!note) return 0;
  forget(&note->attachment.target);
  note->attachment.is_alias = 0;  // the file itself is known
  if (type == BPF_LINK_TYPE_KPROBE_MULTI && BW_KERNEL_HAS(kprobe_multi_link))
    name_probed_function(container_of_link(link, struct bpf_kprobe_multi_link), index);
  else if (type == BPF_LINK_TYPE_UPROBE_MULTI)
    name_probed_offset(note, container_of_link(link, struct bpf_uprobe_multi_link), index);
  else if (BW_KERNEL_HAS(tracing_multi_link))
    name_traced_function(note, container_of_link(link, struct bpf_tracing_multi_link), index);
  return admits_watched((__u64)BPF_CORE_READ(link, prog));
}

__noinline int admits_targets(__u64 address) {
  struct bpf_link* link = (struct bpf_link*)address;
  struct task_note* note = task_note(0);
  const __u32 count = count_of(link, BPF_CORE_READ(link, type));
  int i;
  if (!note) return 0;
  forget(&note->attachment.target);
  if (admits_watched((__u64)BPF_CORE_READ(link, prog))) return 1;  // wherever it goes
  bpf_for(i, 0, (int)count) {
    if (i >= MAX_TARGETS || !admits_target(address, (__u32)i)) return 0;
  }
  return count != 0;
}
