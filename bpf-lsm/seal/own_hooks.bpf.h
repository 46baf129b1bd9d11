// bpfwarden's own pins and links, and what the whole kernel part rests on: what no other hook of
// ours is asked about.
#pragma once

#include "bpf-lsm/seal/own_objects.bpf.h"

// Each file of the host comes by here.
static __always_inline bool is_of_bpffs(struct inode* folder) {
  return folder->i_sb->s_magic == BPF_FS_MAGIC;
}

SEC("lsm/inode_unlink")
int BPF_PROG(pin_unlinked, struct inode* folder, struct dentry* dentry, int ret) {
  if (ret || !is_of_bpffs(folder)) return ret;
  return error_of(reach_pin(dentry, BW_ROUTE_OWN_PIN_REMOVED));
}

// What is renamed, and what would be replaced by it.
SEC("lsm/inode_rename")
int BPF_PROG(pin_renamed, struct inode* from, struct dentry* dentry, struct inode* to,
             struct dentry* replaced, int ret) {
  if (ret || !is_of_bpffs(from)) return ret;
  if (reach_pin(dentry, BW_ROUTE_OWN_PIN_RENAMED)) return -EPERM;
  return error_of(reach_pin(replaced, BW_ROUTE_OWN_PIN_RENAMED));
}

// Also by a pin, which no LSM hook is asked about.
SEC("fentry/bpf_link_new_fd")
int BPF_PROG(see_link_opened, struct bpf_link* link) {
  reach_link(link);
  return 0;
}
