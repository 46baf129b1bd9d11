// Who loads: user, executable, cgroup. What cannot be read stays unknown: it meets the conditions
// of deny rules and of no others.
#pragma once

#include "bpf-lsm/host_path.bpf.h"

struct kernfs_node___before_6_15 {
  struct kernfs_node* parent;
} __attribute__((preserve_access_index));

static __always_inline struct kernfs_node* parent_of(struct kernfs_node* node) {
  struct kernfs_node___before_6_15* old = (void*)node;
  if (BW_KERNEL_HAS(kernfs_parent)) return BPF_CORE_READ(node, __parent);
  return BPF_CORE_READ(old, parent);
}

// The path of a cgroup (v2), a struct kernfs_node, into note->joined.
__noinline int read_cgroup_path(__u64 address) {
  struct task_note* note = task_note(0);
  struct kernfs_node* node = (struct kernfs_node*)address;
  __u32 depth = 0;
  int i;
  if (!note) return 0;
  note->joined.known = 0;
  bpf_for(i, 0, BW_MAX_COMPONENTS + 1) {
    struct kernfs_node* parent = node ? parent_of(node) : 0;
    if (!parent) break;
    note->components[i & (BW_MAX_COMPONENTS - 1)] = (__u64)BPF_CORE_READ(node, name);
    depth = i + 1;
    node = parent;
  }
  if (node && depth <= BW_MAX_COMPONENTS) join_components(depth);
  return 0;
}

// That of the calling task.
static __always_inline void read_cgroup_of_task(void) {
  read_cgroup_path((__u64)BPF_CORE_READ(bpf_get_current_task_btf(), cgroups, dfl_cgrp, kn));
}

static __always_inline void read_cgroup(struct task_note* note, struct bw_name* name) {
  read_cgroup_of_task();
  if (note->joined.known) *name = note->joined;
}

// That of the calling task, into note->found. A file that is gone has a name that no file can be
// found by, as the kernel prints it.
static __always_inline int name_exe(void) {
  static const char deleted[] = " (deleted)";
  struct task_note* note = task_note(0);
  struct file* exe = BPF_CORE_READ(bpf_get_current_task_btf(), mm, exe_file);
  if (!note) return 0;
  forget(&note->found);
  if (!exe) return 0;
  const int flags = name_file((__u64)BPF_CORE_READ(exe, f_path.dentry));
  struct bw_name* name = &note->found;
  if (!name->known || !(flags & FILE_DELETED)) return 0;
  const __u32 start = name->length;
  if (start >= BW_NAME_SIZE - sizeof(deleted)) {
    forget(name);
    return 0;
  }
  bpf_probe_read_kernel(name->bytes + start, sizeof(deleted), deleted);
  name->length = start + sizeof(deleted) - 1;
  return 0;
}

// For an event: empty where the host has no such file.
static __always_inline void read_exe(struct task_note* note, char* exe) {
  exe[0] = 0;
  if (!note) return;
  name_exe();
  if (note->found.known) __builtin_memcpy(exe, note->found.bytes, BW_NAME_SIZE);
}

// `wanted`: BW_IMAGE_* flags.
static __always_inline void gather_subject(struct bw_facts* facts, __u32 wanted,
                                           struct task_note* note) {
  struct bw_name* uid = &facts->names[BW_NAME_UID];
  uid->words[0] = (__u32)bpf_get_current_uid_gid();
  uid->length = sizeof(__u32);
  uid->known = 1;
  if ((wanted & BW_IMAGE_EXE) && note) {
    name_exe();
    facts->names[BW_NAME_EXE] = note->found;
  }
  if (wanted & BW_IMAGE_CGROUP) read_cgroup(note, &facts->names[BW_NAME_CGROUP]);
}
