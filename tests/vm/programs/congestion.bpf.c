// A struct_ops of which every member does the least that the kernel accepts: registered plainly,
// and by a link.
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct sock {
} __attribute__((preserve_access_index));

struct tcp_congestion_ops {
  __u32 (*ssthresh)(struct sock* sk);
  __u32 (*undo_cwnd)(struct sock* sk);
  void (*cong_avoid)(struct sock* sk, __u32 ack, __u32 acked);
  char name[16];
} __attribute__((preserve_access_index));

#define CONGESTION(which, section)                                                           \
  SEC("struct_ops") __u32 BPF_PROG(which##_ssthresh, struct sock* sk) { return 2; }          \
  SEC("struct_ops") __u32 BPF_PROG(which##_undo, struct sock* sk) { return 2; }              \
  SEC("struct_ops") void BPF_PROG(which##_avoid, struct sock* sk, __u32 ack, __u32 acked) {} \
  SEC(section)                                                                               \
  struct tcp_congestion_ops which = {.ssthresh = (void*)which##_ssthresh,                    \
                                     .undo_cwnd = (void*)which##_undo,                       \
                                     .cong_avoid = (void*)which##_avoid,                     \
                                     .name = "test_" #which};

CONGESTION(plain, ".struct_ops")
CONGESTION(linked, ".struct_ops.link")

char LICENSE[] SEC("license") = "GPL";
