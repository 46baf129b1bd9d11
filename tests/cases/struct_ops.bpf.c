#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct sock {
} __attribute__((preserve_access_index));

struct tcp_congestion_ops {
  __u32 (*ssthresh)(struct sock* sk);
  char name[16];
} __attribute__((preserve_access_index));

SEC("struct_ops") __u32 BPF_PROG(least, struct sock* sk) { return 2; }
SEC(".struct_ops") struct tcp_congestion_ops tiny = {.ssthresh = (void*)least, .name = "tiny"};

SEC("xdp") int beside(struct xdp_md* packet) { return XDP_PASS; }

char LICENSE[] SEC("license") = "GPL";
