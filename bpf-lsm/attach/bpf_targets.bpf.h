// bpf(2): probes of many targets at once, as the caller names them: kprobe.multi, uprobe.multi,
// fentry.multi and their kin.
#pragma once

#include "bpf-lsm/attach/watch.bpf.h"

#define MAX_TARGETS 4096  // that are looked at one by one

// include/uapi/linux/bpf.h
enum {
  BPF_F_KPROBE_MULTI_RETURN = 1,
  BPF_F_UPROBE_MULTI_RETURN = 1,
  BPF_F_UPROBE_MULTI_PATH_FD = 2,
};

// What an array of the caller's names.
enum listed_target { LISTED_NAME, LISTED_ADDRESS, LISTED_OFFSET, LISTED_BTF_ID };

// note->probed_file is the file that offsets are in.
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
    *target = note->probed_file;
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
  note->attachment.more = 1;
  return weigh(prog).allow;
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
    if (judge_attachment(note, address)) return -EPERM;
    if (i >= MAX_TARGETS) return 0;
  }
  return 0;
}

static __always_inline int judge_each(__u64 address, __u64 array, __u32 count,
                                      enum listed_target kind) {
  return error_of(judge_targets(address, array, count, kind));
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
  return note->paths.found.known && note->paths.found.length == 1;
}

static __always_inline bool is_by_descriptor(union bpf_attr* attr) {
  return BW_KERNEL_HAS(uprobe_file) &&
         (attr->link_create.uprobe_multi.flags & BPF_F_UPROBE_MULTI_PATH_FD);
}

// The path is as its loader wrote it, unless the file comes as a descriptor. It may lead to a file
// that has another name, too: see judge_as_alias(). Which one it was is seen in the link: see
// watch_memory().
static __always_inline void name_probed_file(struct task_note* note, union bpf_attr* attr) {
  struct bw_name* name = &note->probed_file;
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
