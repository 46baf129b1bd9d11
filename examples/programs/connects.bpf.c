// Counts outgoing TCP connections a process: a tracing program with a map and global data.
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

// Only every `sample`th connection is counted.
__u64 sample = 1;
__u64 seen;

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 1024);
  __type(key, __u32);
  __type(value, __u64);
} connects SEC(".maps");

SEC("fentry/tcp_v4_connect")
int BPF_PROG(count_connect) {
  __u32 process = bpf_get_current_pid_tgid() >> 32;
  __u64 one = 1, *count;
  if (__sync_fetch_and_add(&seen, 1) % (sample ? sample : 1)) return 0;
  count = bpf_map_lookup_elem(&connects, &process);
  if (count)
    __sync_fetch_and_add(count, 1);
  else
    bpf_map_update_elem(&connects, &process, &one, BPF_ANY);
  return 0;
}

char LICENSE[] SEC("license") = "GPL";
