// What falls only when a program is attached or run, decided there. Loaded beside the warden, into
// whose maps it looks, once a policy leaves something to be decided at attach.
#include "bpf-lsm/maps.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("lsm.s/bpf")
int BPF_PROG(attach_bpf, int cmd, union bpf_attr* attr, unsigned int size, bool kernel, int ret) {
  return ret;
}
