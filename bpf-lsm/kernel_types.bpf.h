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

#include "bpf-lsm/uapi.bpf.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

union bpf_attr {
  struct {  // BPF_MAP_CREATE
    __u32 map_type;
    __u32 map_flags;
    __u64 excl_prog_hash;
  };
  struct {  // BPF_PROG_LOAD
    __u32 prog_type;
    __u32 expected_attach_type;
    __u32 prog_flags;
    __u32 prog_btf_fd;
    __u32 func_info_cnt;
    __u32 line_info_cnt;
    __u32 core_relo_cnt;
    __u32 fd_array_cnt;
    __u64 signature;
    __s32 keyring_id;
    __s32 prog_token_fd;
  };
  struct {  // BPF_MAP_UPDATE_ELEM
    __u32 map_fd;
    __u64 value;
  };
  struct {            // BPF_PROG_ATTACH
    __u32 target_fd;  // or a device's number
    __u32 attach_bpf_fd;
    __u32 attach_type;
  };
  struct {
    __u32 prog_fd;
  } test;  // BPF_PROG_TEST_RUN
  struct {
    __u64 name;
    __u32 prog_fd;
  } raw_tracepoint;
  struct {
    union {
      __u32 prog_fd;
      __u32 map_fd;  // of struct_ops
    };
    __u32 target_fd;  // or a device's number
    __u32 attach_type;
    union {
      __u32 target_btf_id;
      struct {
        __u32 flags;
        __u32 cnt;
        __u64 syms;
        __u64 addrs;
      } kprobe_multi;
      struct {
        __u64 path;
        __u64 offsets;
        __u32 cnt;
        __u32 flags;
        __u32 path_fd;
      } uprobe_multi;
      struct {
        __u64 ids;
        __u32 cnt;
      } tracing_multi;
    };
  } link_create;
  struct {
    __u32 link_fd;
    union {
      __u32 new_prog_fd;
      __u32 new_map_fd;  // of struct_ops
    };
  } link_update;
  struct {
    __u32 link_fd;
  } iter_create;
  struct {  // BPF_OBJ_PIN
    __u32 bpf_fd;
  };
  struct {  // BPF_LINK_GET_FD_BY_ID
    __u32 link_id;
  };
};

struct btf_type {
  __u32 name_off;
};

struct btf {
  char name[56];
  struct btf_type** types;
  const char* strings;
  __u32 nr_types;
  struct btf* base_btf;
  __u32 start_id;
  __u32 start_str_off;
};

struct bpf_prog;
struct bpf_token;

struct bpf_func_info {
  __u32 type_id;
};

struct bpf_prog_aux {
  struct bpf_prog* prog;
  struct bpf_token* token;
  __u32 id;
  __u32 attach_btf_id;
  struct btf* attach_btf;
  struct bpf_prog* dst_prog;
  struct btf* btf;
  const char* attach_func_name;
  __u64 load_time;
  char name[16];
  struct bpf_func_info* func_info;
  __u32 used_map_cnt;
  __u32 verified_insns;
  struct user_struct* user;
  struct bpf_map** used_maps;
  struct {
    __u8 verdict;
  } sig;
};

struct bpf_prog {
  __u16 gpl_compatible : 1;
  __u16 sleepable : 1;
  __u16 jited : 1;
  __u32 len;
  enum bpf_prog_type type;
  enum bpf_attach_type expected_attach_type;
  __u8 digest[32];
  struct bpf_prog_aux* aux;
};

// Of the first program that a map of programs was used with: kernel/bpf/core.c,
// __bpf_prog_map_compatible().
struct bpf_map_owner {
  enum bpf_prog_type type;
};

struct bpf_map {
  enum bpf_map_type map_type;
  __u32 value_size;
  struct bpf_map_owner* owner;
};

struct bpf_link;

struct bpf_struct_ops_map {
  struct bpf_map map;
  struct bpf_link** links;
  __u32 funcs_cnt;
};

// Opaque, in the value of a map: what a task is to do before it is back in user space.
struct bpf_task_work {
  __u64 opaque;
} __attribute__((aligned(8)));

// Open-coded iterator, opaque; bpf_for() of libbpf keeps one on the stack.
struct bpf_iter_num {
  __u64 opaque[1];
} __attribute__((aligned(8)));

// Likewise, for bpf_for_each(task, …).
struct bpf_iter_task {
  __u64 opaque[3];
} __attribute__((aligned(8)));

struct bpf_verifier_env {
  bool signature;  // since 7.3: bound maps are folded into the signature
};

typedef struct {
  int counter;
} atomic_t;

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

typedef struct {
  __u32 val;
} kuid_t;

struct user_struct {
  kuid_t uid;
};

struct seq_file;

struct bpf_iter_meta {
  struct seq_file* seq;
};

struct bpf_iter__bpf_prog {
  struct bpf_iter_meta* meta;
  struct bpf_prog* prog;
};

struct bpf_link {
  __u32 id;
  enum bpf_link_type type;
  struct bpf_prog* prog;
  enum bpf_attach_type attach_type;
};

struct bpf_link_primer {
  struct bpf_link* link;
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

struct user_namespace;

struct net {
  struct ns_common ns;
  struct user_namespace* user_ns;
  struct hlist_head* dev_index_head;
};

typedef struct {
  struct net* net;
} possible_net_t;

struct bpf_xdp_link;
struct bpf_mprog_entry;

struct bpf_xdp_entity {
  struct bpf_prog* prog;
  struct bpf_xdp_link* link;
};

struct rtnl_link_ops {
  const char* kind;
};

struct net_device {
  int ifindex;
  struct hlist_node index_hlist;
  possible_net_t nd_net;
  char name[16];
  struct bpf_xdp_entity xdp_state[3];
  struct bpf_mprog_entry* tcx_ingress;
  struct bpf_mprog_entry* tcx_egress;
  const struct rtnl_link_ops* rtnl_link_ops;
};

struct net_device___private {
  __u8 priv[0];
};

struct netkit {
  struct net_device* peer;
  struct bpf_mprog_entry* active;
  bool primary;
};

struct bpf_mprog_fp {
  struct bpf_prog* prog;
};

struct bpf_mprog_bundle;

struct bpf_mprog_entry {
  struct bpf_mprog_fp fp_items[64];
  struct bpf_mprog_bundle* parent;
};

struct bpf_mprog_bundle {
  struct bpf_mprog_entry a;
};

struct tcf_proto_ops {
  char kind[16];
};

struct tcf_proto {
  struct tcf_proto* next;
  void* root;
  const struct tcf_proto_ops* ops;
};

struct tcf_chain {
  struct tcf_proto* filter_chain;
  struct list_head list;
};

struct tcf_block {
  struct list_head chain_list;
};

struct tcf_block_ext_info {
  __u32 block_index;
};

struct netdev_queue {
  struct net_device* dev;
};

struct Qdisc {
  struct netdev_queue* dev_queue;
};

struct tc_action_ops {
  char kind[16];
};

struct tc_action {
  const struct tc_action_ops* ops;
};

enum bpf_netdev_command { XDP_SETUP_PROG };

struct netdev_bpf {
  enum bpf_netdev_command command;
  struct bpf_prog* prog;
};

struct mini_Qdisc {
  struct tcf_proto* filter_list;
};

struct tcx_entry {
  struct mini_Qdisc* miniq;
  struct bpf_mprog_bundle bundle;
};

struct nsproxy {
  struct mnt_namespace* mnt_ns;
  struct net* net_ns;
};

struct bpf_xdp_link {
  struct bpf_link link;
  struct net_device* dev;
};

struct sk_filter {
  struct bpf_prog* prog;
};

struct sock_reuseport {
  struct bpf_prog* prog;
};

struct sock_common {
  __u16 skc_family;
  possible_net_t skc_net;
};

struct sk_buff {
  unsigned int len;
  unsigned char* data;
};

struct sock {
  struct sock_common __sk_common;
  __u16 sk_protocol;
  struct sk_filter* sk_filter;
  struct sock_reuseport* sk_reuseport_cb;
};

struct socket {
  struct sock* sk;
};

struct bpf_iter__bpf_link {
  struct bpf_iter_meta* meta;
  struct bpf_link* link;
};

struct bpf_iter__task_file {
  struct bpf_iter_meta* meta;
  struct task_struct* task;
  __u32 fd;
  struct file* file;
};

struct kernfs_node {
  struct kernfs_node* __parent;  // `parent` before 6.15
  const char* name;
  __u64 id;
};

struct cgroup {
  struct kernfs_node* kn;
};

struct bpf_cgroup_link {
  struct bpf_link link;
  struct cgroup* cgroup;
};

struct tcx_link {
  struct bpf_link link;
  struct net_device* dev;
};

struct netkit_link {
  struct bpf_link link;
  struct net_device* dev;
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
  __s32 pid;
  __s32 tgid;
  struct task_struct* group_leader;
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

struct pt_regs {
  unsigned long bx;
  unsigned long ax;
  unsigned long cx;
  unsigned long dx;
  unsigned long si;
  unsigned long di;
  unsigned long orig_ax;
  unsigned long ip;
};

#pragma clang attribute pop
