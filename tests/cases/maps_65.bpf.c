#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#define ONE(number)                   \
  struct {                            \
    __uint(type, BPF_MAP_TYPE_ARRAY); \
    __type(key, __u32);               \
    __type(value, __u32);             \
    __uint(max_entries, 1);           \
  } map_##number SEC(".maps");
#define EIGHT(a) ONE(a##0) ONE(a##1) ONE(a##2) ONE(a##3) ONE(a##4) ONE(a##5) ONE(a##6) ONE(a##7)

EIGHT(a)
EIGHT(b)
EIGHT(c)
EIGHT(d)
EIGHT(e)
EIGHT(f)
EIGHT(g)
EIGHT(h)
ONE(i0)

SEC("xdp") int counts(struct xdp_md* packet) {
  __u32 key = 0;
  return bpf_map_lookup_elem(&map_a0, &key) ? XDP_PASS : XDP_DROP;
}

char LICENSE[] SEC("license") = "GPL";
