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

// The path of a cgroup (v2), a struct kernfs_node, into note->paths.joined.
__noinline int read_cgroup_path(struct task_note* note, __u64 address) {
  struct kernfs_node* node = (struct kernfs_node*)address;
  __u32 depth = 0;
  int i;
  if (!note) return 0;
  note->paths.joined.known = 0;
  bpf_for(i, 0, BW_MAX_COMPONENTS + 1) {
    struct kernfs_node* parent = node ? parent_of(node) : 0;
    if (!parent) break;
    note->paths.components[i & (BW_MAX_COMPONENTS - 1)] = (__u64)BPF_CORE_READ(node, name);
    depth = i + 1;
    node = parent;
  }
  if (node && depth <= BW_MAX_COMPONENTS) join_components(note, depth);
  return 0;
}

// That of the calling task, into note->paths.joined. A cgroup (v2) is never renamed or moved, and
// its number never given again, so the path is kept.
static __always_inline void read_cgroup_of_task(struct task_note* note) {
  const struct kernfs_node* node = BPF_CORE_READ(bpf_get_current_task_btf(), cgroups, dfl_cgrp, kn);
  const __u64 id = BPF_CORE_READ(node, id);
  if (id && note->subject.cgroup_id == id) {
    note->paths.joined = note->subject.cgroup_path;
    return;
  }
  read_cgroup_path(note, (__u64)node);
  note->subject.cgroup_id = note->paths.joined.known ? id : 0;
  note->subject.cgroup_path = note->paths.joined;
}

static __always_inline void read_cgroup(struct task_note* note, struct bw_name* name) {
  read_cgroup_of_task(note);
  if (note->paths.joined.known) *name = note->paths.joined;
}

// ---- The executable -----------------------------------------------------------------------------

extern const void rename_lock __ksym __weak;

// Where there is none, as if a rename were always under way.
static __always_inline __u32 count_renames(void) {
  const void* lock = &rename_lock;  // a seqlock_t, which begins with its count
  __u32 count = 1;
  if (lock) load_kernel(&count, sizeof(count), lock);
  return count;
}

// The path is the same as long as all of this is. The file keeps its entry, and that the folders
// above it, as long as the task has not run another program; a name or a folder of theirs changes
// under rename_lock alone (fs/dcache.c).
static __always_inline void read_basis(struct exe_basis* now, struct file* exe, __u64 generation) {
  const struct dentry* entry = BPF_CORE_READ(exe, f_path.dentry);
  const __u64* ended = bpf_map_lookup_elem(&any_filesystem_ended, ARRAY_ZERO);
  now->file = (__u64)exe;
  now->entry = (__u64)entry;
  now->hash_len = BPF_CORE_READ(entry, d_name.hash_len);
  now->execs = BPF_CORE_READ(bpf_get_current_task_btf(), self_exec_id);
  now->generation = generation;
  now->ended_ns = ended ? *ended : 0;
  now->renames = count_renames();
}

static __always_inline bool is_same_basis(const struct exe_basis* one,
                                          const struct exe_basis* other) {
  return one->file == other->file && one->entry == other->entry &&
         one->hash_len == other->hash_len && one->execs == other->execs &&
         one->generation == other->generation && one->ended_ns == other->ended_ns &&
         one->renames == other->renames;
}

// Into note->paths.found, from there into the note, unless something was renamed meanwhile.
static __always_inline void find_exe(struct task_note* note, const struct exe_basis* now) {
  const struct bw_image* image = image_of(now->generation);
  if (!image) {
    forget(&note->paths.found);
    return;
  }
  find_path(note, image, (struct dentry*)now->entry);
  note->subject.exe_basis = *now;
  note->subject.exe_path = note->paths.found;
  if ((now->renames & 1) || count_renames() != now->renames) note->subject.exe_basis.file = 0;
}

// A file that is gone has a name that no file can be found by, as the kernel prints it.
static __always_inline void mark_deleted(struct bw_name* name) {
  static const char deleted[] = " (deleted)";
  const __u32 start = name->length;
  if (!name->known) return;
  if (start >= BW_NAME_SIZE - sizeof(deleted)) {
    forget(name);
    return;
  }
  bpf_probe_read_kernel(name->bytes + start, sizeof(deleted), deleted);
  name->length = start + sizeof(deleted) - 1;
}

// An executable that has no path, for it never was in a folder: `memfd:NAME (deleted)`, as the
// kernel prints it but for the slash that would make a path of it. Only told: to rules it has no
// name.
static __always_inline void tell_nameless(struct bw_name* name, struct dentry* entry) {
  static const char kind[] = "memfd:";
  const __u32 room = BW_NAME_SIZE - 16;  // for what follows
  if (BPF_CORE_READ(entry, d_parent) != entry) return;
  const long size = bpf_probe_read_kernel_str(name->bytes, room, BPF_CORE_READ(entry, d_name.name));
  if (size < (long)sizeof(kind) || size > room ||
      __builtin_memcmp(name->bytes, kind, sizeof(kind) - 1)) {
    forget(name);
    return;
  }
  name->length = size - 1;
  name->known = 1;
  mark_deleted(name);
}

// That of the calling task, into note->paths.found. What is decided by is looked for each time.
// What is only told may be what was found before: root can have another file in the place of the
// executable without running it (PR_SET_MM_EXE_FILE), and in that way a basis come again. A global
// function, which the verifier walks through once.
__noinline int name_exe(struct task_note* note, __u32 is_told) {
  struct file* exe = BPF_CORE_READ(bpf_get_current_task_btf(), mm, exe_file);
  const __u64 generation = active_generation();
  struct exe_basis now;
  if (!note) return 0;
  if (!exe || !generation) {
    forget(&note->paths.found);
    return 0;
  }
  read_basis(&now, exe, generation);
  if (is_told && is_same_basis(&note->subject.exe_basis, &now))
    note->paths.found = note->subject.exe_path;
  else
    find_exe(note, &now);
  if (flags_of_file((struct dentry*)now.entry) & FILE_DELETED) mark_deleted(&note->paths.found);
  if (is_told && !note->paths.found.known)
    tell_nameless(&note->paths.found, (struct dentry*)now.entry);
  return 0;
}

BW_STATIC_ASSERT(__builtin_offsetof(struct bw_event, exe) % 8 == 0, "read_exe() writes words");
BW_STATIC_ASSERT(__builtin_offsetof(struct later_note, exe) % 8 == 0, "read_exe() writes words");

// For an event: empty where the host has no such file, and it is no memfd.
static __always_inline void read_exe(struct task_note* note, char* exe) {
  if (!note) {
    __builtin_memset(__builtin_assume_aligned(exe, 8), 0, BW_NAME_SIZE);
    return;
  }
  name_exe(note, 1);
  __builtin_memcpy(__builtin_assume_aligned(exe, 8), note->paths.found.bytes, BW_NAME_SIZE);
  if (!note->paths.found.known) exe[0] = 0;
}

// `wanted`: BW_IMAGE_* flags.
static __always_inline void gather_subject(struct bw_facts* facts, __u32 wanted,
                                           struct task_note* note) {
  struct bw_name* uid = &facts->names[BW_NAME_UID];
  uid->words[0] = (__u32)bpf_get_current_uid_gid();
  uid->length = sizeof(__u32);
  uid->known = 1;
  if ((wanted & BW_IMAGE_EXE) && note) {
    name_exe(note, 0);
    facts->names[BW_NAME_EXE] = note->paths.found;
  }
  if (wanted & BW_IMAGE_CGROUP) read_cgroup(note, &facts->names[BW_NAME_CGROUP]);
}
