// Drops each packet in tc, so that a test sees that it is attached.
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_helpers.h>

SEC("tc")
int drop_tc(struct __sk_buff* packet) { return TC_ACT_SHOT; }

char LICENSE[] SEC("license") = "GPL";
