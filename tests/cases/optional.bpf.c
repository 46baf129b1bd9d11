// For several kernels: one program is loaded only where somebody asks for it, and stands first.
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

SEC("?xdp") int spare(struct xdp_md* packet) { return XDP_ABORTED; }
SEC("xdp") int pass_all(struct xdp_md* packet) { return XDP_PASS; }
SEC("?xdp") int spare_too(struct xdp_md* packet) { return XDP_TX; }
SEC("xdp") int drop_all(struct xdp_md* packet) { return XDP_DROP; }

char LICENSE[] SEC("license") = "GPL";
