// A program that no recording knows.
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

SEC("xdp")
int stranger(struct xdp_md* context) { return context->ingress_ifindex == 99 ? XDP_TX : XDP_PASS; }

char LICENSE[] SEC("license") = "GPL";
