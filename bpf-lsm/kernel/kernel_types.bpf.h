// The few kernel types that the warden reads, by hand instead of a generated header of 130,000
// lines. Only the members in use are named: CO-RE finds their real offsets in the BTF of the
// running kernel. Where a member may be missing, the code asks BW_KERNEL_HAS (kernel_has.h), never
// a version.
#pragma once

typedef unsigned char __u8;
typedef signed char __s8;
typedef unsigned short __u16;
typedef short __s16;
typedef unsigned int __u32;
typedef int __s32;
typedef unsigned long long __u64;
typedef long long __s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;
typedef _Bool bool;
typedef unsigned long size_t;
#define true 1
#define false 0

#include "bpf-lsm/kernel/uapi.bpf.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct {
  int counter;
} atomic_t;

typedef struct {
  __s64 counter;
} atomic64_t;

struct file;

struct fdtable {
  unsigned int max_fds;
  struct file** fd;
};

struct files_struct {
  atomic_t count;
  struct fdtable* fdt;
};

struct qstr {
  __u64 hash_len;
  const unsigned char* name;
};

struct hlist_bl_node {
  struct hlist_bl_node** pprev;
};

struct inode;
struct super_block;

struct dentry {
  struct hlist_bl_node d_hash;
  struct dentry* d_parent;
  struct qstr d_name;
  struct inode* d_inode;
  struct super_block* d_sb;
};

struct ns_common {
  __u32 inum;
};

struct mnt_namespace {
  struct ns_common ns;
};

struct vfsmount;

struct path {
  struct vfsmount* mnt;
  struct dentry* dentry;
};

struct fs_struct {
  struct path root;
};

struct super_block {
  __u32 s_dev;
  unsigned long s_magic;
  struct dentry* s_root;
};

struct inode {
  const unsigned int i_nlink;
  __u32 i_rdev;
  unsigned long i_ino;
  const void* i_op;
  struct super_block* i_sb;
  void* i_private;
};

struct file {
  __u32 f_mode;
  struct path f_path;
  struct inode* f_inode;
  const void* f_op;
  void* private_data;
};

struct list_head {
  struct list_head* next;
};

struct xarray {
  void* xa_head;
};

struct xa_node {
  unsigned char shift;
  void* slots[64];
};

struct idr {
  struct xarray idr_rt;
};

struct hlist_node {
  struct hlist_node* next;
};

struct hlist_head {
  struct hlist_node* first;
};

struct net;

struct nsproxy {
  struct mnt_namespace* mnt_ns;
  struct net* net_ns;
};

struct kernfs_node {
  struct kernfs_node* __parent;  // `parent` before 6.15
  const char* name;
  __u64 id;
};

struct cgroup {
  struct kernfs_node* kn;
};

struct signal_struct {
  struct list_head thread_head;
};

struct css_set {
  struct cgroup* dfl_cgrp;
};

struct mm_struct {
  atomic_t mm_users;
  struct file* exe_file;
};

struct cred {
  struct {
    __u64 val;
  } cap_effective;
  struct user_namespace* user_ns;
};

struct in6_addr {
  __u8 bytes[16];
};

struct task_struct {
  unsigned int ptrace;
  int exit_state;
  __s32 pid;
  __s32 tgid;
  struct task_struct* group_leader;
  __u64 start_boottime;
  char comm[16];
  __u64 self_exec_id;
  const struct cred* cred;
  struct files_struct* files;
  struct mm_struct* mm;
  struct fs_struct* fs;
  struct nsproxy* nsproxy;
  struct signal_struct* signal;
  struct list_head thread_node;
  struct css_set* cgroups;
};

#pragma clang attribute pop
