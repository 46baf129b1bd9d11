// Files by their paths on the host (docs/adr/0014), whichever way led to them: what the kernel has
// opened is a file of a file system, and the image says where on the host that was mounted when the
// policy was published. Mounts made later, roots and namespaces of the caller change no name. What
// is on no such file system, or was mounted over, has none.
#pragma once

#include "bpf-lsm/note.bpf.h"

extern const void init_task __ksym __weak;

// What name_file() returns.
enum {
  FILE_DELETED = 1,  // nobody finds it under that name any more
  FILE_LINKED = 2,   // it has other names as well: hard links
};

static __always_inline void forget(struct bw_name* name) {
  __builtin_memset(name, 0, sizeof(*name));
}

static __always_inline __u32 first_mount_namespace(void) {
  const struct task_struct* first = (const void*)&init_task;
  return BPF_CORE_READ(first, nsproxy, mnt_ns, ns.inum);
}

// Puts the `depth` names of note->paths.components into note->paths.joined as a path, root first.
// Each is read where the last one ended. Left unknown if something cannot be read or does not fit.
// A global function, which the verifier walks through once.
__noinline int join_components(struct task_note* note, __u32 depth) {
  __u32 length = 0;
  int i;
  if (!note) return 0;
  struct bw_name* name = &note->paths.joined;
  __builtin_memset(name, 0, sizeof(*name));
  bpf_for(i, 0, (int)depth) {
    const __u32 level = (depth - 1 - (__u32)i) & (BW_MAX_COMPONENTS - 1);
    if (length >= BW_NAME_SIZE - 1) return 0;
    note->paths.bytes[length & (BW_NAME_SIZE - 1)] = '/';
    const __u32 start = (length + 1) & (BW_NAME_SIZE - 1);
    long size = bpf_probe_read_kernel_str(note->paths.bytes + start, BW_NAME_SIZE,
                                          (const void*)note->paths.components[level]);
    if (size < 1 || size > BW_NAME_SIZE) return 0;
    length = start + (__u32)size - 1;
  }
  if (!depth) {
    note->paths.bytes[0] = '/';
    length = 1;
  }
  if (length >= BW_NAME_SIZE) return 0;
  if (bpf_probe_read_kernel(name->bytes, length, note->paths.bytes)) return 0;
  name->length = length;
  name->known = 1;
  return 0;
}

// Whether the path is that one, or below. The empty one stands for the root. Inlined as what calls
// it is: older kernels follow eight calls, those of other functions that name nothing included.
static __always_inline int is_at_or_below(const struct bw_name* name, const __u64* path,
                                          __u32 length) {
  const __u32 whole = (length / 8) & (BW_NAME_WORDS - 1);
  const __u64 mask = ~(~0ULL << (8 * (length % 8)));
  int i;
  if (length > name->length) return 0;
  bpf_for(i, 0, (int)whole) {
    const __u32 n = (__u32)i & (BW_NAME_WORDS - 1);
    if (path[n] != name->words[n]) return 0;
  }
  if ((path[whole] ^ name->words[whole]) & mask) return 0;
  return length == name->length || name->bytes[length & (BW_NAME_SIZE - 1)] == '/';
}

static __always_inline bool has_ended(__u32 device, __u64 since) {
  const __u64* ended = bpf_map_lookup_elem(&ended_filesystems, &device);
  const __u64* any = bpf_map_lookup_elem(&any_filesystem_ended, ARRAY_ZERO);
  return (ended && *ended >= since) || !any || (*any && *any >= since);
}

// The names between the root of its file system and it, into note->paths.components. Negative: too
// many, or that root is out of reach.
static __always_inline int count_components(struct task_note* note, struct dentry* dentry) {
  const struct dentry* root = BPF_CORE_READ(dentry, d_sb, s_root);
  int i;
  bpf_for(i, 0, BW_MAX_COMPONENTS + 1) {
    struct dentry* parent = BPF_CORE_READ(dentry, d_parent);
    if (dentry == root) return i;
    if (!parent || parent == dentry || i >= BW_MAX_COMPONENTS) return -1;
    note->paths.components[i & (BW_MAX_COMPONENTS - 1)] = (__u64)BPF_CORE_READ(dentry, d_name.name);
    dentry = parent;
  }
  return -1;
}

// Whether something else was mounted between the mount and the path in note->paths.found.
static __always_inline int is_mounted_over(const struct bw_image* image, struct task_note* note,
                                           __u32 length) {
  int i;
  bpf_for(i, 0, (int)image->mount_count) {
    const struct bw_mount* mount = &image->mounts[(__u32)i & (BW_MAX_MOUNTS - 1)];
    if (mount->point_length <= length) continue;
    if (is_at_or_below(&note->paths.found, mount->point, mount->point_length)) return 1;
  }
  return 0;
}

// note->paths.found becomes the mount's folder, and what of note->paths.joined is below the mount's
// root.
static __always_inline void place_path(struct task_note* note, const struct bw_mount* mount) {
  struct bw_name* name = &note->paths.found;
  const __u32 start = mount->point_length, cut = mount->root_length;
  const __u32 rest = note->paths.joined.length - cut, length = start + rest;
  if (start >= BW_NAME_SIZE || cut >= BW_NAME_SIZE || rest >= BW_NAME_SIZE) return;
  if (length >= BW_NAME_SIZE) return;
  if (bpf_probe_read_kernel(note->paths.bytes, start, mount->point)) return;
  if (bpf_probe_read_kernel(note->paths.bytes + start, rest, note->paths.joined.bytes + cut))
    return;
  if (!length) note->paths.bytes[0] = '/';
  const __u32 whole = length ? length : 1;
  if (bpf_probe_read_kernel(name->bytes, whole & (BW_NAME_SIZE - 1), note->paths.bytes)) return;
  name->length = whole;
  name->known = 1;
}

// Whether the mount shows note->paths.joined, a path in its file system: note->paths.found then is
// where.
static __always_inline int is_shown_by(const struct bw_image* image, struct task_note* note,
                                       __u32 index) {
  const struct bw_mount* mount = &image->mounts[index & (BW_MAX_MOUNTS - 1)];
  forget(&note->paths.found);
  if (!is_at_or_below(&note->paths.joined, mount->root, mount->root_length)) return 0;
  place_path(note, mount);
  if (!note->paths.found.known) return 0;
  return !is_mounted_over(image, note, mount->point_length);
}

static __always_inline int flags_of_file(struct dentry* dentry) {
  const bool is_root = BPF_CORE_READ(dentry, d_parent) == dentry;
  const bool is_deleted = !is_root && !BPF_CORE_READ(dentry, d_hash.pprev);
  const bool is_linked = BPF_CORE_READ(dentry, d_inode, i_nlink) > 1;
  return (is_deleted ? FILE_DELETED : 0) | (is_linked ? FILE_LINKED : 0);
}

// The path of a struct dentry, into note->paths.found.
static __always_inline int find_path(struct task_note* note, const struct bw_image* image,
                                     struct dentry* dentry) {
  int i;
  forget(&note->paths.found);
  const __u32 device = BPF_CORE_READ(dentry, d_sb, s_dev);
  const int depth = count_components(note, dentry);
  if (depth < 0 || has_ended(device, image->mounts_read_ns)) return 0;
  join_components(note, (__u32)depth);
  if (!note->paths.joined.known) return 0;
  if (!depth) note->paths.joined.length = 0;  // is_at_or_below() knows the root by the empty path
  bpf_for(i, 0, (int)image->mount_count) {
    if (image->mounts[(__u32)i & (BW_MAX_MOUNTS - 1)].device != device) continue;
    if (is_shown_by(image, note, (__u32)i)) return flags_of_file(dentry);
  }
  forget(&note->paths.found);
  return 0;
}

// A global function, which the verifier walks through once.
__noinline int name_file(__u64 entry) {
  struct task_note* note = task_note(0);
  __u64 generation = 0;
  const struct bw_image* image = active_image(&generation);
  if (!note) return 0;
  forget(&note->paths.found);
  return entry && image ? find_path(note, image, (struct dentry*)entry) : 0;
}
