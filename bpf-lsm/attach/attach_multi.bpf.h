// Probes of many targets at once: kprobe.multi, uprobe.multi, fentry.multi and their kin.
#pragma once

#include "bpf-lsm/attach/attach_watch.bpf.h"

// include/uapi/linux/bpf.h
enum {
  BPF_F_KPROBE_MULTI_RETURN = 1,
  BPF_F_UPROBE_MULTI_RETURN = 1,
  BPF_F_UPROBE_MULTI_PATH_FD = 2,
};

#define MAX_TARGETS 4096  // that are looked at one by one

// ---- As the caller names them -------------------------------------------------------------------

// What an array of the caller's names.
enum listed_target { LISTED_NAME, LISTED_ADDRESS, LISTED_OFFSET, LISTED_BTF_ID };

static __always_inline void name_btf_id(struct bpf_prog* prog, __u32 id, struct bw_name* target) {
  struct btf* btf = BPF_CORE_READ(prog, aux, attach_btf);
  const char* name = btf ? btf_type_name(btf, id) : 0;
  forget(target);
  if (!name) return;
  const __u32 attach_type = BPF_CORE_READ(prog, expected_attach_type);
  const char* owner =
      owner_of_target(BPF_CORE_READ(prog, aux), BPF_PROG_TYPE_TRACING, attach_type, id);
  target->length =
      read_target((char*)target->bytes, name, BPF_PROG_TYPE_TRACING, attach_type, owner);
  target->known = target->length != 0;
  if (!target->known) forget(target);
}

// note->file_name is the file that offsets are in.
__noinline int name_listed(__u64 prog, __u64 array, __u32 index, __u32 kind) {
  struct task_note* note = task_note(0);
  const __u32 size = kind == LISTED_BTF_ID ? sizeof(__u32) : sizeof(__u64);
  __u64 value = 0;
  if (!note) return 0;
  struct bw_name* target = &note->attachment.target;
  forget(target);
  if (bpf_copy_from_user(&value, size, (const void*)(array + (__u64)index * size))) return 0;
  if (kind == LISTED_NAME) {
    name_user_string((const void*)value, target);
  } else if (kind == LISTED_ADDRESS) {
    name_function(value);
  } else if (kind == LISTED_OFFSET) {
    *target = note->file_name;
    add_offset(target, value);
  } else {
    name_btf_id((struct bpf_prog*)prog, value, target);
  }
  return 0;
}

// A policy that allows the program wherever it goes need not be asked about each target: what it
// admits of an unknown one it admits of all.
static __always_inline bool is_allowed_anywhere(struct task_note* note, struct bpf_prog* prog) {
  if (decides_at_attach(staged_image())) return false;
  note->attachment.more = note->attachment.quiet = 1;
  judge_attachment((__u64)prog);
  note->attachment.quiet = 0;
  return note->draft.decision.allow;
}

__noinline int judge_targets(__u64 address, __u64 array, __u32 count, __u32 kind) {
  struct bpf_prog* prog = (struct bpf_prog*)address;
  struct task_note* note = task_note(0);
  int i;
  if (!note) return refuse_blind(BW_HOOK_ATTACH);
  if (count > MAX_TARGETS) count = MAX_TARGETS + 1;
  if (is_allowed_anywhere(note, prog))
    count = 1;
  else if (!watch_memory(WATCH_TARGETS))
    note->attachment.guard = BW_CAUSE_MISSING_FACT;
  bpf_for(i, 0, (int)count) {
    if (i >= MAX_TARGETS) {
      note->attachment.guard = BW_CAUSE_TOO_MANY_TARGETS;
      note->attachment.more = 0;
    } else {
      name_listed(address, array, (__u32)i, kind);
      note->attachment.more = (__u32)i + 1 < count;
    }
    if (judge_attachment(address)) return -EPERM;
    if (i >= MAX_TARGETS) return 0;
  }
  return 0;
}

static __always_inline int judge_each(__u64 address, __u64 array, __u32 count,
                                      enum listed_target kind) {
  return judge_targets(address, array, count, kind) ? -EPERM : 0;
}

static __always_inline int judge_kprobes(struct task_note* note, struct bpf_prog* prog,
                                         union bpf_attr* attr) {
  struct attachment* at = &note->attachment;
  const __u64 names = attr->link_create.kprobe_multi.syms;
  const __u64 addresses = attr->link_create.kprobe_multi.addrs;
  at->probe = 1 + (at->attach_type == BPF_TRACE_KPROBE_SESSION ? BW_PROBE_KPROBE_SESSION
                                                               : BW_PROBE_KPROBE_MULTI);
  at->on_return = attr->link_create.kprobe_multi.flags & BPF_F_KPROBE_MULTI_RETURN;
  return judge_each((__u64)prog, names ? names : addresses, attr->link_create.kprobe_multi.cnt,
                    names ? LISTED_NAME : LISTED_ADDRESS);
}

// Whether a path from the root is the same for the caller as for the host: chroot(2) makes another
// root, and a mount namespace can have other files at every path.
static __always_inline bool sees_first_root(struct task_note* note) {
  const struct task_struct* task = bpf_get_current_task_btf();
  if (BPF_CORE_READ(task, nsproxy, mnt_ns, ns.inum) != first_mount_namespace()) return false;
  name_file((__u64)BPF_CORE_READ(task, fs, root.dentry));
  return note->found.known && note->found.length == 1;
}

static __always_inline bool is_by_descriptor(union bpf_attr* attr) {
  return BW_KERNEL_HAS(uprobe_file) &&
         (attr->link_create.uprobe_multi.flags & BPF_F_UPROBE_MULTI_PATH_FD);
}

// The path is as its loader wrote it, unless the file comes as a descriptor. It may lead to a file
// that has another name, too: see judge_as_alias(). Which one it was is seen in the link: see
// watch_memory().
static __always_inline void name_probed_file(struct task_note* note, union bpf_attr* attr) {
  struct bw_name* name = &note->file_name;
  forget(name);
  if (is_by_descriptor(attr)) {
    struct file* file = open_file(attr->link_create.uprobe_multi.path_fd);
    if (file) name_probed(note, (void*)file + bpf_core_field_offset(struct file, f_path));
    return;
  }
  note->attachment.is_alias = 1;
  if (sees_first_root(note))
    name_user_string((const void*)attr->link_create.uprobe_multi.path, name);
  else
    forget(name);
}

static __always_inline int judge_uprobes(struct task_note* note, struct bpf_prog* prog,
                                         union bpf_attr* attr) {
  struct attachment* at = &note->attachment;
  at->probe = 1 + (at->attach_type == BPF_TRACE_UPROBE_SESSION ? BW_PROBE_UPROBE_SESSION
                                                               : BW_PROBE_UPROBE_MULTI);
  at->on_return = attr->link_create.uprobe_multi.flags & BPF_F_UPROBE_MULTI_RETURN;
  name_probed_file(note, attr);
  return judge_each((__u64)prog, attr->link_create.uprobe_multi.offsets,
                    attr->link_create.uprobe_multi.cnt, LISTED_OFFSET);
}

// Since Linux 7.3.
static __always_inline bool is_multi_tracing(union bpf_attr* attr, __u32 attach_type) {
  return BW_KERNEL_HAS(tracing_multi) && attach_type >= BPF_TRACE_FENTRY_MULTI &&
         attach_type <= BPF_TRACE_FSESSION_MULTI;
}

// ---- As the kernel has read them ----------------------------------------------------------------
// The lists lie in the caller's memory, where others may write after they were judged. So they are
// judged once more, in the link that came of them, unless the program may go anywhere.

#define container_of_link(address, type) \
  ((type*)((void*)(address) - bpf_core_field_offset(type, link)))

static __always_inline __u32 count_of(struct bpf_link* link, enum bpf_link_type type) {
  if (type == BPF_LINK_TYPE_KPROBE_MULTI)
    return BPF_CORE_READ(container_of_link(link, struct bpf_kprobe_multi_link), cnt);
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
  note->attachment.target = note->file_name;
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
  if (type == BPF_LINK_TYPE_KPROBE_MULTI)
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

// The link is complete, its descriptor not yet there.
SEC("fentry/bpf_link_settle")
int BPF_PROG(see_link_settle, struct bpf_link_primer* primer) {
  struct bpf_link* link = BPF_CORE_READ(primer, link);
  struct attachment* at = watched_attachment(link);
  if (!at || !(at->awaits & WATCH_TARGETS)) return 0;
  at->seen |= WATCH_TARGETS;
  return admits_targets((__u64)link) ? 0 : answer_race((__u64)BPF_CORE_READ(link, prog));
}
