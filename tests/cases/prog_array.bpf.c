#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

SEC("xdp") int next_one(struct xdp_md* packet) { return XDP_PASS; }

struct {
  __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
  __uint(max_entries, 1);
  __uint(key_size, sizeof(__u32));
  __array(values, int(void*));
} calls SEC(".maps") = {.values = {(void*)&next_one}};

SEC("xdp") int first_one(struct xdp_md* packet) {
  bpf_tail_call(packet, &calls, 0);
  return XDP_DROP;
}

char LICENSE[] SEC("license") = "GPL";
