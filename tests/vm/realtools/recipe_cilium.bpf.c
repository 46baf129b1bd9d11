// What Cilium's agent loads, by type and attach point; each lets everything through.
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

SEC("xdp") int on_xdp(struct xdp_md* packet) { return XDP_PASS; }
SEC("tc") int on_tc(struct __sk_buff* packet) { return 0; }
SEC("tcx/ingress") int on_tcx(struct __sk_buff* packet) { return TCX_NEXT; }
SEC("netkit/primary") int on_netkit(struct __sk_buff* packet) { return TCX_NEXT; }

#define ON_ADDRESS(name, section) \
  SEC(section) int name(struct bpf_sock_addr* address) { return 1; }
ON_ADDRESS(on_connect4, "cgroup/connect4")
ON_ADDRESS(on_connect6, "cgroup/connect6")
ON_ADDRESS(on_sendmsg4, "cgroup/sendmsg4")
ON_ADDRESS(on_sendmsg6, "cgroup/sendmsg6")
ON_ADDRESS(on_recvmsg4, "cgroup/recvmsg4")
ON_ADDRESS(on_recvmsg6, "cgroup/recvmsg6")
ON_ADDRESS(on_getpeername4, "cgroup/getpeername4")
ON_ADDRESS(on_getpeername6, "cgroup/getpeername6")

#define ON_SOCKET(name, section) \
  SEC(section) int name(struct bpf_sock* socket) { return 1; }
ON_SOCKET(on_post_bind4, "cgroup/post_bind4")
ON_SOCKET(on_post_bind6, "cgroup/post_bind6")
ON_SOCKET(on_release, "cgroup/sock_release")

char LICENSE[] SEC("license") = "GPL";
