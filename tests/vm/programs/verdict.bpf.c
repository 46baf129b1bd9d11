// A program whose verdict is data, and which counts in a map: what a signed loader makes of both is
// to be what was signed.
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, __u64);
} seen SEC(".maps");

const volatile int verdict = 1;

SEC("xdp") int give_verdict(struct xdp_md* context) {
  const __u32 key = 0;
  __u64* count = bpf_map_lookup_elem(&seen, &key);
  if (count) __sync_fetch_and_add(count, 1);
  return verdict;
}

char LICENSE[] SEC("license") = "GPL";
