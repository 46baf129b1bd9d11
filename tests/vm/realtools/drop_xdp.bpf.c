// Drops each packet at an XDP hook, so that a test sees that it is attached.
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

SEC("xdp")
int drop_xdp(struct xdp_md* context) { return XDP_DROP; }

char LICENSE[] SEC("license") = "GPL";
