// Refuses each IPv4 connect of a cgroup, so that a test sees that it is attached.
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

SEC("cgroup/connect4")
int refuse_connect(struct bpf_sock_addr* address) { return 0; }

char LICENSE[] SEC("license") = "GPL";
