// Keeps who has been killed from its end for a while, with all its descriptors open: as a tracer
// can (PTRACE_O_TRACEEXIT), or a slow file system. There is time for whoever wants one of them.
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

static const __u64 kNanoseconds = 400000000;

static long is_over(__u64 index, void* start) {
  return bpf_ktime_get_ns() - *(__u64*)start > kNanoseconds;
}

SEC("fentry/do_group_exit") int stay(__u64* arguments) {
  __u64 start = bpf_ktime_get_ns();
  if ((arguments[0] & 0x7f) == 9) bpf_loop(1 << 23, is_over, &start, 0);
  return 0;
}

char LICENSE[] SEC("license") = "GPL";
