// Names of what probes and tracepoints are attached to, as the policy writes them: `tcp_connect`,
// `/usr/bin/bash:0x2d6a0`, `sched/sched_switch`. What cannot be read stays unknown.
#pragma once

#include "bpf-lsm/attach/attach_place.bpf.h"
#include "bpf-lsm/kernel/trace_types.bpf.h"

int bpf_copy_from_user_str(void* dst, __u32 dst__sz, const void* unsafe_ptr__ign,
                           __u64 flags) __ksym __weak;

// Cut at the first space: behind the name of a function in a module stands the module's.
static __always_inline void end_at_space(struct bw_name* name) {
  __u32 length = 0;
  int i;
  bpf_for(i, 0, BW_NAME_SIZE) {
    const __u32 at = (__u32)i & (BW_NAME_SIZE - 1);
    if (name->bytes[at] == ' ') break;
    length = at;
  }
  if (length + 1 >= name->length) return;
  bpf_for(i, 0, BW_NAME_SIZE) {
    const __u32 at = (__u32)i & (BW_NAME_SIZE - 1);
    if (at > length) name->bytes[at] = 0;
  }
  name->length = length + 1;
}

// The function that the address is in, into note->attachment.target.
__noinline int name_function(__u64 address) {
  struct task_note* note = task_note(0);
  if (!note) return 0;
  struct bw_name* target = &note->attachment.target;
  forget(target);
  if (!address) return 0;
  set_length(target, BPF_SNPRINTF((char*)target->bytes, BW_NAME_SIZE, "%ps", address));
  end_at_space(target);
  if (target->bytes[0] == '0') forget(target);  // a number: no function is there
  return 0;
}

static __always_inline void name_user_string(const void* user, struct bw_name* target) {
  forget(target);
  if (!BW_KERNEL_HAS(user_strings)) return;
  const long size = bpf_copy_from_user_str(target->bytes, BW_NAME_SIZE, user, 0);
  if (size < BW_NAME_SIZE) set_length(target, size);  // else it may have been cut
  if (!target->known) forget(target);
}

// A file that nobody finds any more has no name, and one with hard links may have another one, too:
// see judge_as_alias().
static __always_inline void name_probed(struct task_note* note, const struct path* path) {
  const int flags = name_file((__u64)BPF_CORE_READ(path, dentry));
  note->probed_file = note->paths.found;
  if (flags & FILE_DELETED) forget(&note->probed_file);
  if (flags & FILE_LINKED) note->attachment.is_alias = 1;
}

// `/path/of/file` becomes `/path/of/file:0x2d6a0`.
static __always_inline void add_offset(struct bw_name* name, __u64 offset) {
  char text[24] = {};
  if (!name->known) return;
  const long size = BPF_SNPRINTF(text, sizeof(text), ":0x%llx", offset);
  const __u32 start = name->length;
  if (size <= 1 || size > (long)sizeof(text) || start >= BW_NAME_SIZE - sizeof(text)) {
    forget(name);
    return;
  }
  bpf_probe_read_kernel(name->bytes + start, sizeof(text), text);
  name->length = start + size - 1;
}

// The first probe of an event; null if it has none.
static __always_inline struct trace_probe* first_probe(struct trace_event_call* call) {
  struct trace_probe_event* event =
      (void*)call - bpf_core_field_offset(struct trace_probe_event, call);
  struct list_head* head = (void*)event + bpf_core_field_offset(struct trace_probe_event, probes);
  struct list_head* first = BPF_CORE_READ(head, next);
  if (first == head) return 0;
  return (void*)first - bpf_core_field_offset(struct trace_probe, list);
}

// All probes of one event fire on entry, or all on return. An event of tracefs takes further ones
// at any time, which run the programs that it has already: where those are nobody knows.
static __always_inline void name_kprobe(struct attachment* at, struct trace_probe* probe) {
  struct trace_kprobe* kprobe = (void*)probe - bpf_core_field_offset(struct trace_kprobe, tp);
  at->on_return = BPF_CORE_READ(kprobe, rp.handler) != 0;
  if (!at->grows) name_function((__u64)BPF_CORE_READ(kprobe, rp.kp.addr));
}

static __always_inline void name_uprobe(struct task_note* note, struct attachment* at,
                                        struct trace_probe* probe) {
  struct trace_uprobe* uprobe = (void*)probe - bpf_core_field_offset(struct trace_uprobe, tp);
  at->on_return = BPF_CORE_READ(uprobe, consumer.ret_handler) != 0;
  if (at->grows) return;
  name_probed(note, (void*)uprobe + bpf_core_field_offset(struct trace_uprobe, path));
  at->target = note->probed_file;
  add_offset(&at->target, BPF_CORE_READ(uprobe, offset));
}

static __always_inline void name_tracepoint(struct trace_event_call* call, int flags,
                                            struct bw_name* target) {
  char system[BW_NAME_SIZE / 2] = {}, name[BW_NAME_SIZE / 2] = {};
  const char* from =
      flags & TRACE_EVENT_FL_TRACEPOINT ? BPF_CORE_READ(call, tp, name) : BPF_CORE_READ(call, name);
  long size = bpf_probe_read_kernel_str(system, sizeof(system), BPF_CORE_READ(call, class, system));
  if (size <= 1 || size >= (long)sizeof(system)) return;
  size = bpf_probe_read_kernel_str(name, sizeof(name), from);
  if (size <= 1 || size >= (long)sizeof(name)) return;
  set_length(target, BPF_SNPRINTF((char*)target->bytes, BW_NAME_SIZE, "%s/%s", system, name));
}

// What a perf event observes, into note->attachment.
__noinline int name_perf_event(__u64 address) {
  struct perf_event* event = (struct perf_event*)address;
  struct trace_event_call* call = BPF_CORE_READ(event, tp_event);
  struct task_note* note = task_note(0);
  if (!call || !note) return 0;  // hardware or software: no name
  struct attachment* at = &note->attachment;
  const int flags = BPF_CORE_READ(call, flags);
  const bool is_probe = flags & (TRACE_EVENT_FL_KPROBE | TRACE_EVENT_FL_UPROBE);
  struct trace_probe* probe = is_probe ? first_probe(call) : 0;
  at->grows = is_probe && (flags & TRACE_EVENT_FL_DYNAMIC);
  if (flags & TRACE_EVENT_FL_KPROBE) {
    at->probe = 1 + BW_PROBE_KPROBE;
    if (probe) name_kprobe(at, probe);
  } else if (flags & TRACE_EVENT_FL_UPROBE) {
    at->probe = 1 + BW_PROBE_UPROBE;
    if (probe) name_uprobe(note, at, probe);
  } else {
    name_tracepoint(call, flags, &at->target);
  }
  return 0;
}

static __always_inline void name_btf_id(struct bpf_prog* prog, __u32 id, struct bw_name* target) {
  struct btf* btf = BPF_CORE_READ(prog, aux, attach_btf);
  const char* name = btf ? btf_type_name(btf, id) : 0;
  forget(target);
  if (!name) return;
  const __u32 attach_type = BPF_CORE_READ(prog, expected_attach_type);
  const char* owner =
      owner_of_target(BPF_CORE_READ(prog, aux), BPF_PROG_TYPE_TRACING, attach_type, id);
  target->length =
      read_target((char*)target->bytes, name, BPF_PROG_TYPE_TRACING, attach_type, owner);
  target->known = target->length != 0;
  if (!target->known) forget(target);
}
