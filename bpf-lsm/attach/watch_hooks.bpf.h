// What the descriptors, and the memory, of a watched attachment were: evidence.
#pragma once

#include "bpf-lsm/attach/race.bpf.h"
#include "bpf-lsm/attach/raw_tracepoint.bpf.h"
#include "bpf-lsm/attach/watched_targets.bpf.h"

SEC("fexit/cgroup_get_from_fd")
int BPF_PROG(see_cgroup, int fd) {
  struct cgroup* cgroup = returned(ctx);
  return watched_attachment(cgroup) ? see_object(fd, BPF_CORE_READ(cgroup, kn)) : 0;
}

SEC("fexit/perf_event_get")
int BPF_PROG(see_perf_event, __u32 fd) {
  struct file* file = returned(ctx);
  return watched_attachment(file) ? see_object(fd, BPF_CORE_READ(file, private_data)) : 0;
}

SEC("fexit/bpf_map_get")
int BPF_PROG(see_map, __u32 fd) { return see_object(fd, returned(ctx)); }

SEC("fexit/bpf_link_get_from_fd")
int BPF_PROG(see_link, __u32 fd) { return see_object(fd, returned(ctx)); }

// The tracepoint by the name that the kernel has read. It has no descriptor. Nothing below
// kernel/trace can be traced itself.
SEC("fentry/tracepoint_probe_register_prio_may_exist")
int BPF_PROG(see_tracepoint, struct tracepoint* point) {
  struct task_note* note = task_note(0);
  struct attachment* at = watched_attachment(point);
  if (!note || !at || at->route != BW_ROUTE_RAW_TRACEPOINT_OPEN) return 0;
  if (!(at->watch.awaits & WATCH_OBJECT)) return 0;  // a program whose load has named its target
  struct bw_name* actual = &note->paths.found;
  const char* name = BPF_CORE_READ(point, name);
  forget(actual);
  set_length(actual, bpf_probe_read_kernel_str(actual->bytes, BW_NAME_SIZE, name));
  own_tracepoint();
  at->watch.seen |= WATCH_OBJECT;
  for (int i = 0; i < BW_NAME_WORDS; i++)
    if (actual->words[i] != at->target.words[i]) return answer_race(0);
  return 0;
}

// The link is complete, its descriptor not yet there.
SEC("fentry/bpf_link_settle")
int BPF_PROG(see_link_settle, struct bpf_link_primer* primer) {
  struct attachment* at = watched_attachment(primer);
  if (!at || !(at->watch.awaits & WATCH_TARGETS)) return 0;
  struct bpf_link* link = BPF_CORE_READ(primer, link);
  at->watch.seen |= WATCH_TARGETS;
  return admits_targets((__u64)link) ? 0 : answer_race((__u64)BPF_CORE_READ(link, prog));
}
