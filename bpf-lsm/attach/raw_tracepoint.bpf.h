// Whose a raw tracepoint is, as bpf_get_raw_tracepoint() looks it up by its name: the kernel's own,
// else a module's.
#pragma once

#include "bpf-lsm/attach/attach_target.bpf.h"

extern const void __start__bpf_raw_tp __ksym __weak;
extern const void __stop__bpf_raw_tp __ksym __weak;
extern const void bpf_trace_modules __ksym __weak;

enum { MAX_RAW_TRACEPOINTS = 16384, MAX_TRACED_MODULES = 1024 };

static __always_inline bool is_called(const struct bpf_raw_event_map* entry,
                                      const struct bw_name* wanted) {
  const char* name = BPF_CORE_READ(entry, tp, name);
  __u64 words[BW_NAME_WORDS] = {};
  if (bpf_probe_read_kernel(words, sizeof(words[0]), name)) return false;
  // What follows a short name in memory does not count.
  const __u32 length = wanted->length;
  if (length >= sizeof(words[0]) && words[0] != wanted->words[0]) return false;
  words[0] = 0;
  if (bpf_probe_read_kernel_str(words, sizeof(words), name) <= 1) return false;
  for (int i = 0; i < BW_NAME_WORDS; i++)
    if (words[i] != wanted->words[i]) return false;
  return true;
}

// Whether one of them has the name in note->paths.found. Returns 0 or 1.
__noinline int has_raw_tracepoint(__u64 first, __u32 count) {
  const struct task_note* note = task_note(0);
  const __u32 size = bpf_core_type_size(struct bpf_raw_event_map);
  int i;
  if (!note) return 0;
  bpf_for(i, 0, (int)count) {
    if (i >= MAX_RAW_TRACEPOINTS) return 0;
    if (is_called((void*)(first + (__u64)(__u32)i * size), &note->paths.found)) return 1;
  }
  return 0;
}

static __always_inline const char* module_with_tracepoint(void) {
  struct list_head* head = (void*)&bpf_trace_modules;
  struct list_head* node = BPF_CORE_READ(head, next);
  int i;
  bpf_for(i, 0, MAX_TRACED_MODULES) {
    if (!node || node == head) return 0;
    struct bpf_trace_module* entry =
        (void*)node - bpf_core_field_offset(struct bpf_trace_module, list);
    struct module* module = BPF_CORE_READ(entry, module);
    if (has_raw_tracepoint((__u64)BPF_CORE_READ(module, bpf_raw_events),
                           BPF_CORE_READ(module, num_bpf_raw_events)))
      return (const char*)module + bpf_core_field_offset(struct module, name);
    node = BPF_CORE_READ(node, next);
  }
  return 0;
}

// note->paths.found, the name of a tracepoint, becomes `:module:name` where it is a module's.
// Nobody's stays as it is: the kernel is about to say so. Unknown where the kernel's own cannot be
// looked through.
__noinline int own_tracepoint(void) {
  struct task_note* note = task_note(0);
  if (!note || !note->paths.found.known) return 0;
  const __u64 first = (__u64)&__start__bpf_raw_tp, end = (__u64)&__stop__bpf_raw_tp;
  struct bw_name* name = &note->paths.found;
  if (!first || end < first || !&bpf_trace_modules) {
    forget(name);
    return 0;
  }
  if (has_raw_tracepoint(first, (end - first) / bpf_core_type_size(struct bpf_raw_event_map)))
    return 0;
  const char* module = module_with_tracepoint();
  if (!module) return 0;
  const struct bw_name plain = *name;
  forget(name);
  const long size = BPF_SNPRINTF((char*)name->bytes, BW_NAME_SIZE, ":%s:%s", module, plain.bytes);
  set_length(name, size);
  if (!name->known) forget(name);
  return 0;
}
