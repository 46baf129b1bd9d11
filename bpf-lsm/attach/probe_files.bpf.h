// Events of tracefs take further probes at any time, which run the programs that they have already
// (append_trace_kprobe()). Nothing below kernel/trace can be traced, and the files through which
// that is done carry text. So opening one of them for writing is told, of each program on such an
// event.
#pragma once

#include "bpf-lsm/attach/attach.bpf.h"

#define TRACEFS_MAGIC 0x74726163

// Judges the program at the perf event of note->attachment, and notes it where that one grows.
static __always_inline int judge_at_event(struct task_note* note, struct bpf_prog* prog) {
  const struct attachment* at = &note->attachment;
  const __u64 key = (__u64)BPF_CORE_READ(prog, aux);
  const struct growing_probe probe = {.kind = at->probe, .on_return = at->on_return};
  const bool grows = at->grows;
  if (judge_program(note, prog)) return -EPERM;
  if (grows) bpf_map_update_elem(&growing, &key, &probe, BPF_ANY);
  return 0;
}

static __always_inline void forget_growing(__u64 aux) { bpf_map_delete_elem(&growing, &aux); }

static __always_inline bool is_probe_file(struct file* file) {
  char name[16] = {};
  struct dentry* dentry = BPF_CORE_READ(file, f_path.dentry);
  if (BPF_CORE_READ(file, f_inode, i_sb, s_magic) != TRACEFS_MAGIC) return false;
  if (bpf_probe_read_kernel_str(name, sizeof(name), BPF_CORE_READ(dentry, d_name.name)) <= 1)
    return false;
  return !__builtin_memcmp(name, "kprobe_events", sizeof("kprobe_events")) ||
         !__builtin_memcmp(name, "uprobe_events", sizeof("uprobe_events")) ||
         !__builtin_memcmp(name, "dynamic_events", sizeof("dynamic_events"));
}

// Nobody gets an errno: whoever writes there may only look for events of their own.
__noinline int tell_growing(__u64 aux, __u32 kind, __u32 on_return) {
  struct bpf_prog* prog = BPF_CORE_READ((struct bpf_prog_aux*)aux, prog);
  struct task_note* note = new_attachment(BW_ROUTE_PERF_EVENT);
  struct bw_program* record = note ? &note->draft : 0;
  __u64 generation = 0;
  const struct bw_image* image = active_image(&generation);
  if (!record || !image || !decides_at_attach(image) || !recall(note, prog)) return 0;
  note->attachment.probe = kind;
  note->attachment.on_return = on_return;
  set_facts(record, image, &note->attachment);
  record->generation = generation;
  record->policy_version = image->policy_version;
  deny_now(image, BW_CAUSE_PROBE_GROWS, record);
  record->decision.mode = BW_MODE_AUDIT;
  conclude(BW_HOOK_ATTACH, record, image, prog);
  return 0;
}

static long tell_each(struct bpf_map* map, const void* key, void* value, void* context) {
  const struct growing_probe* probe = value;
  tell_growing(*(const __u64*)key, probe->kind, probe->on_return);
  return 0;
}

static __always_inline void tell_of_growing(struct file* file) {
  if (is_probe_file(file) && asks_at_attach()) bpf_for_each_map_elem(&growing, tell_each, 0, 0);
}
