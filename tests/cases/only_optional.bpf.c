#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

SEC("?xdp") int spare(struct xdp_md* packet) { return XDP_PASS; }

char LICENSE[] SEC("license") = "GPL";
