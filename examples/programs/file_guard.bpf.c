// Watches each opening of a file and allows it: an LSM program.
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

__u64 opened;

SEC("lsm/file_open")
int BPF_PROG(watch_open, void* file, int ret) {
  __sync_fetch_and_add(&opened, 1);
  return ret;
}

char LICENSE[] SEC("license") = "GPL";
