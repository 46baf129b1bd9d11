// The few kernel types that the warden reads, by hand instead of a generated header of 130,000
// lines. Only the members in use are named: CO-RE finds their real offsets in the BTF of the
// running kernel. Where a member may be missing, the code asks bpf_core_field_exists, never a
// version.
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

// UAPI values (include/uapi/linux/bpf.h); they never change.
enum bpf_cmd {
  BPF_MAP_UPDATE_ELEM = 2,
  BPF_PROG_LOAD = 5,
  BPF_PROG_ATTACH = 8,
  BPF_PROG_TEST_RUN = 10,
  BPF_RAW_TRACEPOINT_OPEN = 17,
  BPF_LINK_CREATE = 28,
  BPF_LINK_UPDATE = 29,
};

enum bpf_map_type {
  BPF_MAP_TYPE_HASH = 1,
  BPF_MAP_TYPE_ARRAY = 2,
  BPF_MAP_TYPE_PROG_ARRAY = 3,
  BPF_MAP_TYPE_PERCPU_ARRAY = 6,
  BPF_MAP_TYPE_ARRAY_OF_MAPS = 12,
  BPF_MAP_TYPE_DEVMAP = 14,
  BPF_MAP_TYPE_CPUMAP = 16,
  BPF_MAP_TYPE_DEVMAP_HASH = 25,
  BPF_MAP_TYPE_STRUCT_OPS = 26,
  BPF_MAP_TYPE_RINGBUF = 27,
  BPF_MAP_TYPE_TASK_STORAGE = 29,
};

enum {
  BPF_ANY = 0,
  BPF_NOEXIST = 1,
  BPF_F_NO_PREALLOC = 1U << 0,
  BPF_F_SLEEPABLE = 1U << 4,
  BPF_F_RDONLY_PROG = 1U << 7,
  BPF_F_MMAPABLE = 1U << 10,
  BPF_LOCAL_STORAGE_GET_F_CREATE = 1ULL << 0,
};

enum bpf_prog_type {
  BPF_PROG_TYPE_SOCKET_FILTER = 1,
  BPF_PROG_TYPE_KPROBE = 2,
  BPF_PROG_TYPE_SCHED_CLS = 3,
  BPF_PROG_TYPE_SCHED_ACT = 4,
  BPF_PROG_TYPE_TRACEPOINT = 5,
  BPF_PROG_TYPE_XDP = 6,
  BPF_PROG_TYPE_PERF_EVENT = 7,
  BPF_PROG_TYPE_CGROUP_SKB = 8,
  BPF_PROG_TYPE_CGROUP_SOCK = 9,
  BPF_PROG_TYPE_LWT_IN = 10,
  BPF_PROG_TYPE_LWT_OUT = 11,
  BPF_PROG_TYPE_LWT_XMIT = 12,
  BPF_PROG_TYPE_SOCK_OPS = 13,
  BPF_PROG_TYPE_CGROUP_DEVICE = 15,
  BPF_PROG_TYPE_RAW_TRACEPOINT = 17,
  BPF_PROG_TYPE_CGROUP_SOCK_ADDR = 18,
  BPF_PROG_TYPE_LWT_SEG6LOCAL = 19,
  BPF_PROG_TYPE_SK_REUSEPORT = 21,
  BPF_PROG_TYPE_CGROUP_SYSCTL = 23,
  BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE = 24,
  BPF_PROG_TYPE_CGROUP_SOCKOPT = 25,
  BPF_PROG_TYPE_TRACING = 26,
  BPF_PROG_TYPE_STRUCT_OPS = 27,
  BPF_PROG_TYPE_EXT = 28,
  BPF_PROG_TYPE_LSM = 29,
  BPF_PROG_TYPE_SYSCALL = 31,
};

enum bpf_attach_type {
  BPF_CGROUP_INET_INGRESS = 0,
  BPF_TRACE_RAW_TP = 23,
  BPF_MODIFY_RETURN = 26,
  BPF_TRACE_ITER = 28,
  BPF_XDP = 37,
  BPF_PERF_EVENT = 41,
  BPF_TRACE_KPROBE_MULTI = 42,
  BPF_LSM_CGROUP = 43,
  BPF_STRUCT_OPS = 44,
  BPF_TCX_INGRESS = 46,
  BPF_TCX_EGRESS = 47,
  BPF_TRACE_UPROBE_MULTI = 48,
  BPF_NETKIT_PRIMARY = 54,
  BPF_NETKIT_PEER = 55,
  BPF_TRACE_KPROBE_SESSION = 56,
  BPF_TRACE_UPROBE_SESSION = 57,
  BPF_TRACE_FENTRY_MULTI = 59,
  BPF_TRACE_FEXIT_MULTI = 60,
  BPF_TRACE_FSESSION_MULTI = 61,
};

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
  };
  struct {  // BPF_MAP_UPDATE_ELEM
    __u32 map_fd;
    __u64 value;
  };
  struct {  // BPF_PROG_ATTACH
    union {
      __u32 target_fd;
      __u32 target_ifindex;
    };
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
      __u32 map_fd;
    };
    union {
      __u32 target_fd;
      __u32 target_ifindex;
    };
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
        __u32 target_btf_id;
      } tracing;
      struct {
        __u64 ids;
        __u32 cnt;
      } tracing_multi;
    };
  } link_create;
  struct {
    __u32 link_fd;
    __u32 new_prog_fd;
  } link_update;
};

struct btf_type {
  __u32 name_off;
};

struct btf {
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

struct bpf_map {
  enum bpf_map_type map_type;
  __u32 value_size;
};

// Open-coded iterator, opaque; bpf_for() of libbpf keeps one on the stack.
struct bpf_iter_num {
  __u64 opaque[1];
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
  const unsigned char* name;
};

struct dentry {
  struct dentry* d_parent;
  struct qstr d_name;
};

struct ns_common {
  __u32 inum;
};

struct mnt_namespace {
  struct ns_common ns;
};

struct vfsmount {
  struct dentry* mnt_root;
};

struct mount {
  struct mount* mnt_parent;
  struct dentry* mnt_mountpoint;
  struct vfsmount mnt;
  struct mnt_namespace* mnt_ns;
};

struct path {
  struct vfsmount* mnt;
  struct dentry* dentry;
};

struct fs_struct {
  struct path root;
};

struct super_block {
  unsigned long s_magic;
};

struct inode {
  unsigned long i_ino;
  struct super_block* i_sb;
  void* i_private;
};

struct file {
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

enum bpf_link_type {
  BPF_LINK_TYPE_CGROUP = 3,
  BPF_LINK_TYPE_XDP = 6,
  BPF_LINK_TYPE_PERF_EVENT = 7,
  BPF_LINK_TYPE_STRUCT_OPS = 9,
  BPF_LINK_TYPE_TCX = 11,
  BPF_LINK_TYPE_NETKIT = 13,
};

struct bpf_link {
  __u32 id;
  enum bpf_link_type type;
  struct bpf_prog* prog;
  enum bpf_attach_type attach_type;
};

struct hlist_node {
  struct hlist_node* next;
};

struct hlist_head {
  struct hlist_node* first;
};

struct net {
  struct ns_common ns;
  struct hlist_head* dev_index_head;
};

typedef struct {
  struct net* net;
} possible_net_t;

struct net_device {
  int ifindex;
  struct hlist_node index_hlist;
  possible_net_t nd_net;
  char name[16];
};

struct net_device___private {
  __u8 priv[0];
};

struct netkit {
  struct net_device* peer;
};

struct nsproxy {
  struct mnt_namespace* mnt_ns;
  struct net* net_ns;
};

struct bpf_xdp_link {
  struct bpf_link link;
  struct net_device* dev;
};

struct list_head {
  struct list_head* next;
};

struct tracepoint {
  const char* name;
};

struct trace_event_class {
  const char* system;
};

struct trace_event_call {
  struct trace_event_class* class;
  union {
    const char* name;
    struct tracepoint* tp;
  };
  int flags;
};

struct trace_probe_event {
  struct trace_event_call call;
  struct list_head probes;
};

struct trace_probe {
  struct list_head list;
};

struct kprobe {
  void* addr;
};

struct kretprobe {
  struct kprobe kp;
  void* handler;
};

struct trace_kprobe {
  struct kretprobe rp;
  struct trace_probe tp;
};

struct uprobe_consumer {
  void* ret_handler;
};

struct trace_uprobe {
  struct uprobe_consumer consumer;
  struct path path;
  unsigned long offset;
  struct trace_probe tp;
};

struct perf_event {
  struct trace_event_call* tp_event;
  struct bpf_prog* prog;
  __u64 id;
};

struct bpf_perf_link {
  struct bpf_link link;
  struct file* perf_file;
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

struct css_set {
  struct cgroup* dfl_cgrp;
};

struct mm_struct {
  atomic_t mm_users;
};

struct task_struct {
  __s32 pid;
  __s32 tgid;
  char comm[16];
  struct files_struct* files;
  struct mm_struct* mm;
  struct fs_struct* fs;
  struct nsproxy* nsproxy;
  struct css_set* cgroups;
};

struct pt_regs {
  unsigned long bx;
  unsigned long di;
  unsigned long orig_ax;
};

union key_payload {
  void* data[4];
};

struct key {
  __s32 serial;
  union key_payload payload;
};

struct public_key {
  void* key;
  __u32 keylen;
  const char* pkey_algo;
};

struct asymmetric_key_subtype {
  const char* name;
};

struct asymmetric_key_id {
  __u16 len;
  __u8 data[];
};

struct public_key_signature {
  struct asymmetric_key_id* auth_ids[3];
  __u32 s_size;
};

struct x509_certificate {
  struct x509_certificate* signer;  // the certificate that issued it
  struct public_key* pub;
  struct public_key_signature* sig;
};

struct pkcs7_signed_info {
  struct pkcs7_signed_info* next;
  struct x509_certificate* signer;
  struct public_key_signature* sig;
};

struct pkcs7_message {
  struct pkcs7_signed_info* signed_infos;
};

#pragma clang attribute pop
