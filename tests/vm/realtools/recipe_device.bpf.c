// A device program of nobody's container.
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

SEC("cgroup/dev") int no_container(struct bpf_cgroup_dev_ctx* device) { return 1; }

char LICENSE[] SEC("license") = "GPL";
