// What bpfwarden keeps in the kernel, as somebody else's: the attacks on the seal work on it.
#include "bpf-lsm/kernel/bpf_types.bpf.h"

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct value {
  __u64 number;
};

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct value);
} control SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 16);
  __type(key, __u64);
  __type(value, struct value);
} programs SEC(".maps");

struct image {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct value);
};

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
  __uint(max_entries, 8);
  __type(key, __u32);
  __array(values, struct image);
} generations SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_TASK_STORAGE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, int);
  __type(value, struct value);
} notes SEC(".maps");

static __always_inline void touch(void) {
  const __u32 zero = 0;
  const __u64 key = 0;
  bpf_map_lookup_elem(&control, &zero);
  bpf_map_lookup_elem(&programs, &key);
  bpf_map_lookup_elem(&generations, &zero);
  bpf_task_storage_get(&notes, bpf_get_current_task_btf(), 0, 0);
}

__noinline int reach_own(__u32 kind, __u32 id, __u32 route) {
  asm volatile("" : "+r"(kind)); /* not folded */
  return kind == 1 && id == 2 && route == 3;
}

SEC("lsm/socket_listen")
int BPF_PROG(decoy_prog) {
  touch();
  reach_own(0, 0, 0);
  return 0;
}

// What takes its place.
SEC("?freplace/reach_own")
int replacement(__u32 kind, __u32 id, __u32 route) { return 0; }

SEC("lsm_cgroup/socket_listen")
int BPF_PROG(guard_bpf) { return 1; }

char LICENSE[] SEC("license") = "GPL";
