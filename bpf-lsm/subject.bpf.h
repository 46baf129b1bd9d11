// Who loads: user, executable, cgroup. What cannot be read stays unknown: it meets the conditions
// of deny rules and of no others.
#pragma once

#include "bpf-lsm/maps.bpf.h"

struct file* bpf_get_task_exe_file(struct task_struct* task) __ksym __weak;
void bpf_put_file(struct file* file) __ksym __weak;
int bpf_path_d_path(const struct path* path, char* buf, size_t buf__sz) __ksym __weak;

struct kernfs_node___before_6_15 {
  struct kernfs_node* parent;
} __attribute__((preserve_access_index));

static __always_inline struct kernfs_node* parent_of(struct kernfs_node* node) {
  struct kernfs_node___before_6_15* old = (void*)node;
  if (BW_KERNEL_HAS(kernfs_parent)) return BPF_CORE_READ(node, __parent);
  return BPF_CORE_READ(old, parent);
}

// Puts the `depth` names of note->components into note->joined as a path, root first. Each is read
// where the last one ended. Left unknown if something cannot be read or does not fit. A global
// function, which the verifier walks through once.
__noinline int join_components(__u32 depth) {
  struct task_note* note = task_note(0);
  __u32 length = 0;
  int i;
  if (!note) return 0;
  struct bw_name* name = &note->joined;
  __builtin_memset(name, 0, sizeof(*name));
  bpf_for(i, 0, (int)depth) {
    const __u32 level = (depth - 1 - (__u32)i) & (BW_MAX_COMPONENTS - 1);
    if (length >= BW_NAME_SIZE - 1) return 0;
    note->path[length & (BW_NAME_SIZE - 1)] = '/';
    const __u32 start = (length + 1) & (BW_NAME_SIZE - 1);
    long size = bpf_probe_read_kernel_str(note->path + start, BW_NAME_SIZE,
                                          (const void*)note->components[level]);
    if (size < 1 || size > BW_NAME_SIZE) return 0;
    length = start + (__u32)size - 1;
  }
  if (!depth) {
    note->path[0] = '/';
    length = 1;
  }
  if (length >= BW_NAME_SIZE) return 0;
  if (bpf_probe_read_kernel(name->bytes, length, note->path)) return 0;
  name->length = length;
  name->known = 1;
  return 0;
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

// The length with NUL; not positive if it could not be read or does not fit.
static __always_inline int read_exe_path(char* path, __u32 path__sz) {
  if (!BW_KERNEL_HAS(paths_of_executables)) return 0;
  struct file* exe = bpf_get_task_exe_file(bpf_get_current_task_btf());
  if (!exe) return 0;
  const int size = bpf_path_d_path(&exe->f_path, path, path__sz);
  bpf_put_file(exe);
  return size;
}

static __always_inline void read_exe(struct bw_name* name) {
  const int size = read_exe_path((char*)name->bytes, BW_NAME_SIZE);
  if (size <= 1 || size > BW_NAME_SIZE) return;
  name->length = size - 1;
  name->known = 1;
}

// `wanted`: BW_IMAGE_* flags.
static __always_inline void gather_subject(struct bw_facts* facts, __u32 wanted,
                                           struct task_note* note) {
  struct bw_name* uid = &facts->names[BW_NAME_UID];
  uid->words[0] = (__u32)bpf_get_current_uid_gid();
  uid->length = sizeof(__u32);
  uid->known = 1;
  if (wanted & BW_IMAGE_EXE) read_exe(&facts->names[BW_NAME_EXE]);
  if (wanted & BW_IMAGE_CGROUP) read_cgroup(note, &facts->names[BW_NAME_CGROUP]);
}
