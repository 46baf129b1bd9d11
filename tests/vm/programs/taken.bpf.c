// Counts the programs that the kernel takes from descriptors of one process, by their types: what
// a message of netlink has made active, or was about to.
#include "bpf-lsm/kernel/bpf_types.bpf.h"

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

__u64 types;  // a bit for each enum bpf_prog_type
__u64 count;
const volatile __s32 process = 0;

SEC("fexit/bpf_prog_get_type_dev")
int BPF_PROG(taken, __u32 fd, enum bpf_prog_type type, bool attach_drv, struct bpf_prog* prog) {
  if ((__s32)(bpf_get_current_pid_tgid() >> 32) != process) return 0;
  if (!prog || (__u64)prog >= -4095ULL) return 0;
  types |= 1ULL << type;
  count++;
  return 0;
}

char LICENSE[] SEC("license") = "GPL";
