// Drops each packet that leaves by a route, so that a test sees that it is attached.
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

SEC("lwt_out")
int drop_route(struct __sk_buff* packet) { return BPF_DROP; }

char LICENSE[] SEC("license") = "GPL";
