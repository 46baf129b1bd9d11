// Types of the kernel's BPF: what bpf(2) is called with, programs, maps and links, as
// kernel_types.bpf.h has the others.
#pragma once

#include "bpf-lsm/kernel/kernel_types.bpf.h"

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
  struct {
    __u32 bpf_fd;
    __u32 info_len;
    __u64 info;
  } info;   // BPF_OBJ_GET_INFO_BY_FD
  struct {  // BPF_LINK_GET_FD_BY_ID, BPF_BTF_GET_FD_BY_ID
    __u32 link_id;
    __u32 next_id;
    __u32 open_flags;
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

struct bpf_insn {
  __u8 code;
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
  struct bpf_insn insnsi[];
};

// Of the first program that a map of programs was used with: kernel/bpf/core.c,
// __bpf_prog_map_compatible().
struct bpf_map_owner {
  enum bpf_prog_type type;
};

struct bpf_map {
  struct bpf_map* inner_map_meta;  // of a map of maps: what those in it are like
  enum bpf_map_type map_type;
  __u32 key_size;
  __u32 value_size;
  __u32 max_entries;
  __u32 map_flags;
  __u32 id;
  struct bpf_map_owner* owner;
  atomic64_t refcnt;    // of the kernel, those below included
  atomic64_t usercnt;   // of descriptors, pins and iterators
  atomic64_t writecnt;  // calls under way that write it
  bool frozen;
};

struct bpf_array {
  struct bpf_map map;
  char value[];
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

struct bpf_iter_aux_info {
  struct bpf_map* map;
};

struct bpf_iter_link {
  struct bpf_link link;
  struct bpf_iter_aux_info aux;
};

struct bpf_link_primer {
  struct bpf_link* link;
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

struct bpf_cgroup_link {
  struct bpf_link link;
  struct cgroup* cgroup;
  enum bpf_attach_type type;  // before 6.17
};

#pragma clang attribute pop
