// Holds whoever turns a descriptor into a program up for a while before it is done, so that another
// thread can swap what is behind it: between the hook that judged it and the kernel that takes it.
// One call in seven, so that many rounds fit into a test; an odd number, or where a round makes two
// of these calls it could be the wrong one for ever.
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

static const __u64 kNanoseconds = 4000000;
static __u64 calls;

static long is_over(__u64 index, void* start) {
  return bpf_ktime_get_ns() - *(__u64*)start > kNanoseconds;
}

static __always_inline int linger(void) {
  __u64 start = bpf_ktime_get_ns();
  if (calls++ % 7) return 0;
  bpf_loop(1 << 20, is_over, &start, 0);
  return 0;
}

SEC("fentry/__bpf_prog_get") int linger_static(void* context) { return linger(); }
SEC("fentry/bpf_prog_get") int linger_get(void* context) { return linger(); }
SEC("fentry/bpf_prog_get_type_dev") int linger_type(void* context) { return linger(); }

char LICENSE[] SEC("license") = "GPL";
