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
  BPF_PROG_LOAD = 5,
  BPF_PROG_TEST_RUN = 10,
};

enum bpf_map_type {
  BPF_MAP_TYPE_HASH = 1,
  BPF_MAP_TYPE_ARRAY = 2,
  BPF_MAP_TYPE_PERCPU_ARRAY = 6,
  BPF_MAP_TYPE_ARRAY_OF_MAPS = 12,
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
  BPF_PROG_TYPE_TRACING = 26,
  BPF_PROG_TYPE_STRUCT_OPS = 27,
  BPF_PROG_TYPE_LSM = 29,
  BPF_PROG_TYPE_SYSCALL = 31,
};

enum bpf_attach_type {
  BPF_TRACE_RAW_TP = 23,
  BPF_MODIFY_RETURN = 26,
  BPF_TRACE_ITER = 28,
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

struct bpf_map;

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

struct files_struct {
  atomic_t count;
};

struct path {
  void* dentry;
};

struct inode {
  unsigned long i_ino;
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
  BPF_LINK_TYPE_XDP = 6,
  BPF_LINK_TYPE_PERF_EVENT = 7,
};

struct bpf_link {
  __u32 id;
  enum bpf_link_type type;
  struct bpf_prog* prog;
};

struct ns_common {
  __u32 inum;
};

struct net {
  struct ns_common ns;
};

typedef struct {
  struct net* net;
} possible_net_t;

struct net_device {
  possible_net_t nd_net;
};

struct bpf_xdp_link {
  struct bpf_link link;
  struct net_device* dev;
};

struct perf_event {
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

struct sock {
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

struct css_set {
  struct cgroup* dfl_cgrp;
};

struct task_struct {
  __s32 pid;
  __s32 tgid;
  char comm[16];
  struct files_struct* files;
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
