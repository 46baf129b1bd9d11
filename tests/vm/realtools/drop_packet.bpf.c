// Matches each packet, for a rule of iptables that drops what it matches.
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

SEC("socket")
int drop_packet(struct __sk_buff* packet) { return 0xffff; }

char LICENSE[] SEC("license") = "GPL";
