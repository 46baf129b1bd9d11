// Types of the kernel's tracing, as kernel_types.bpf.h has the others: what perf events observe.
#pragma once

#include "bpf-lsm/kernel/bpf_types.bpf.h"

// include/linux/trace_events.h
enum {
  TRACE_EVENT_FL_TRACEPOINT = 1 << 3,
  TRACE_EVENT_FL_DYNAMIC = 1 << 4,
  TRACE_EVENT_FL_KPROBE = 1 << 5,
  TRACE_EVENT_FL_UPROBE = 1 << 6,
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct trace_event_call;

struct perf_event {
  struct trace_event_call* tp_event;
  struct bpf_prog* prog;
  __u64 id;
};

struct bpf_perf_link {
  struct bpf_link link;
  struct file* perf_file;
};

struct bpf_kprobe_multi_link {
  struct bpf_link link;
  unsigned long* addrs;
  __u32 cnt;
};

struct bpf_uprobe {
  __s64 offset;
};

struct bpf_uprobe_multi_link {
  struct path path;
  struct bpf_link link;
  __u32 cnt;
  struct bpf_uprobe* uprobes;
};

struct bpf_trampoline {
  __u64 key;  // its lower half: 1 << 31 | the number of the function in BTF
};

struct bpf_tracing_multi_node {
  struct bpf_trampoline* trampoline;
};

// Since Linux 7.2.
struct bpf_tracing_multi_link {
  struct bpf_link link;
  int nodes_cnt;
  struct bpf_tracing_multi_node nodes[];
};

struct tracepoint {
  const char* name;
};

struct bpf_raw_event_map {
  struct tracepoint* tp;
};

struct module {
  char name[56];
  unsigned int num_bpf_raw_events;
  struct bpf_raw_event_map* bpf_raw_events;
};

struct bpf_trace_module {
  struct module* module;
  struct list_head list;
};

struct trace_event_class {
  const char* system;
};

struct trace_event_call {
  struct trace_event_class* class;
  union {
    const char* name;
    struct tracepoint* tp;
  };
  int flags;
};

struct trace_probe_event {
  struct trace_event_call call;
  struct list_head probes;
};

struct trace_probe {
  struct list_head list;
};

struct kprobe {
  void* addr;
};

struct kretprobe {
  struct kprobe kp;
  void* handler;
};

struct trace_kprobe {
  struct kretprobe rp;
  struct trace_probe tp;
};

struct uprobe_consumer {
  void* ret_handler;
};

struct trace_uprobe {
  struct uprobe_consumer consumer;
  struct path path;
  unsigned long offset;
  struct trace_probe tp;
};

#pragma clang attribute pop
