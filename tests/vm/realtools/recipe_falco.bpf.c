// What Falco's modern probe loads, by type and attach point.
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#define ON(name) \
  SEC("tp_btf/" #name) int on_##name(void* context) { return 0; }
ON(sys_enter)
ON(sys_exit)
ON(sched_process_exec)
ON(sched_process_exit)
ON(sched_process_fork)
ON(sched_switch)
ON(signal_deliver)
ON(page_fault_user)
ON(page_fault_kernel)

char LICENSE[] SEC("license") = "GPL";
