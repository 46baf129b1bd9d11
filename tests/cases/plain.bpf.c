#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

SEC("xdp") int plain(struct xdp_md* packet) { return XDP_PASS; }

char LICENSE[] SEC("license") = "GPL";
