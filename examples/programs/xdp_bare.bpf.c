// Passes each packet on: no map, no data, so that its instructions alone can be signed
// (`bpfwarden sign --prog-only`).
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

SEC("xdp")
int pass(struct xdp_md* context) { return XDP_PASS; }

char LICENSE[] SEC("license") = "GPL";
