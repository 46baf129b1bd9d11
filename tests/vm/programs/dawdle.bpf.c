// Keeps a loader waiting after each update of a map: between the update and the freeze of its data
// there is time for whoever wants to write there, too.
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

static const __u64 kNanoseconds = 300000000;
volatile __u32 loader;  // the process that is kept waiting

static long is_over(__u64 index, void* start) {
  return bpf_ktime_get_ns() - *(__u64*)start > kNanoseconds;
}

SEC("fexit/bpf_map_update_value") int dawdle(void* context) {
  __u64 start = bpf_ktime_get_ns();
  if (bpf_get_current_pid_tgid() >> 32 == loader) bpf_loop(1 << 23, is_over, &start, 0);
  return 0;
}

char LICENSE[] SEC("license") = "GPL";
