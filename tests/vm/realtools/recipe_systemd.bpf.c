// What systemd loads for units, by type and attach point; each lets everything through.
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

SEC("cgroup/dev") int on_device(struct bpf_cgroup_dev_ctx* device) { return 1; }
SEC("cgroup_skb/ingress") int on_ingress(struct __sk_buff* packet) { return 1; }
SEC("cgroup_skb/egress") int on_egress(struct __sk_buff* packet) { return 1; }
SEC("cgroup/bind4") int on_bind4(struct bpf_sock_addr* address) { return 1; }
SEC("cgroup/bind6") int on_bind6(struct bpf_sock_addr* address) { return 1; }
SEC("cgroup/sysctl") int on_sysctl(struct bpf_sysctl* setting) { return 1; }
SEC("lsm/file_open") int on_open(void* context) { return 0; }

char LICENSE[] SEC("license") = "GPL";
