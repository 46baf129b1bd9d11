// One program for each way of attaching that makes no link; none of them does anything.
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#define PROGRAM(section, name, context, result) \
  SEC(section) int name(context ctx) { return result; }

PROGRAM("xdp", on_device, struct xdp_md*, XDP_PASS)
PROGRAM("xdp", on_device_too, struct xdp_md*, XDP_PASS)
PROGRAM("xdp/devmap", in_devmap, struct xdp_md*, XDP_PASS)
PROGRAM("xdp/cpumap", in_cpumap, struct xdp_md*, XDP_PASS)
PROGRAM("tc", as_filter, struct __sk_buff*, 0)
PROGRAM("tc", as_filter_too, struct __sk_buff*, 0)
PROGRAM("action", as_action, struct __sk_buff*, 0)
PROGRAM("tcx/ingress", on_tcx, struct __sk_buff*, -1)
PROGRAM("socket", on_socket, struct __sk_buff*, 65535)
PROGRAM("sk_reuseport", on_reuseport, struct sk_reuseport_md*, SK_PASS)
PROGRAM("kprobe", on_kprobe, void*, 0)
PROGRAM("kprobe", on_uprobe, void*, 0)
PROGRAM("tp/sched/sched_switch", on_tracepoint, void*, 0)
PROGRAM("perf_event", on_clock, void*, 0)
PROGRAM("cgroup/dev", on_cgroup_dev, struct bpf_cgroup_dev_ctx*, 1)
PROGRAM("cgroup/connect4", on_connect, struct bpf_sock_addr*, 1)
PROGRAM("cgroup_skb/egress", on_egress, struct __sk_buff*, 1)
PROGRAM("sockops", on_sockops, struct bpf_sock_ops*, 0)
PROGRAM("lsm_cgroup/socket_bind", on_bind, void*, 1)
PROGRAM("flow_dissector", dissect, struct __sk_buff*, BPF_OK)
PROGRAM("sk_msg", on_message, struct sk_msg_md*, SK_PASS)
PROGRAM("sk_skb/stream_verdict", on_stream, struct __sk_buff*, SK_PASS)

#define MAP(name, kind, size)          \
  struct {                             \
    __uint(type, BPF_MAP_TYPE_##kind); \
    __uint(max_entries, 4);            \
    __uint(key_size, sizeof(__u32));   \
    __uint(value_size, size);          \
  } name SEC(".maps");

MAP(tail_calls, PROG_ARRAY, sizeof(__u32))
MAP(sockets, SOCKMAP, sizeof(__u32))
MAP(devices, DEVMAP, sizeof(struct bpf_devmap_val))
MAP(cpus, CPUMAP, sizeof(struct bpf_cpumap_val))

char LICENSE[] SEC("license") = "GPL";
