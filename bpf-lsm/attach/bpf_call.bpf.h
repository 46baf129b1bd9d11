// bpf(2): which way a call goes, and whether there is anything to judge.
#pragma once

#include "bpf-lsm/attach/bpf_links.bpf.h"
#include "bpf-lsm/attach/bpf_maps.bpf.h"
#include "bpf-lsm/attach/names_nothing.bpf.h"

static __always_inline enum bw_route route_of(int command) {
  switch (command) {
    case BPF_LINK_CREATE:
      return BW_ROUTE_LINK_CREATE;
    case BPF_LINK_UPDATE:
      return BW_ROUTE_LINK_UPDATE;
    case BPF_PROG_ATTACH:
      return BW_ROUTE_PROG_ATTACH;
    case BPF_RAW_TRACEPOINT_OPEN:
      return BW_ROUTE_RAW_TRACEPOINT_OPEN;
    case BPF_PROG_TEST_RUN:
      return BW_ROUTE_TEST_RUN;
    case BPF_ITER_CREATE:
      return BW_ROUTE_ITER_CREATE;
    case BPF_MAP_UPDATE_ELEM:
      return BW_ROUTE_MAP_UPDATE;
    default:
      return BW_ROUTE_NONE;
  }
}

static __always_inline bool holds_programs(struct bpf_map* map) {
  const __u32 type = map ? BPF_CORE_READ(map, map_type) : 0;
  return type == BPF_MAP_TYPE_PROG_ARRAY || type == BPF_MAP_TYPE_DEVMAP ||
         type == BPF_MAP_TYPE_DEVMAP_HASH || type == BPF_MAP_TYPE_CPUMAP ||
         type == BPF_MAP_TYPE_STRUCT_OPS;
}

// By which the call names its program; of an iterator, the link that has it. Of maps see
// is_other_map().
static __always_inline __u32 descriptor_of(enum bw_route route, union bpf_attr* attr) {
  switch (route) {
    case BW_ROUTE_LINK_CREATE:
      return attr->link_create.prog_fd;
    case BW_ROUTE_LINK_UPDATE:
      return attr->link_update.new_prog_fd;
    case BW_ROUTE_PROG_ATTACH:
      return attr->attach_bpf_fd;
    case BW_ROUTE_RAW_TRACEPOINT_OPEN:
      return attr->raw_tracepoint.prog_fd;
    case BW_ROUTE_TEST_RUN:
      return attr->test.prog_fd;
    default:
      return attr->iter_create.link_fd;
  }
}

// Whether there is a program that the call could make active, or a map of them.
static __always_inline bool has_program(enum bw_route route, union bpf_attr* attr) {
  if (route == BW_ROUTE_MAP_UPDATE) return holds_programs(map_of(attr->map_fd));
  const __u32 fd = descriptor_of(route, attr);
  if (route == BW_ROUTE_ITER_CREATE) return link_of(fd);
  return program_of(fd) || is_struct_ops(map_of(fd));
}

// A call that names nothing is not judged.
static __always_inline bool is_about_nothing(const struct task_note* note, enum bw_route route,
                                             union bpf_attr* attr) {
  if (route == BW_ROUTE_MAP_UPDATE) return !has_program(route, attr);
  if (!shares_files()) return !note && !has_program(route, attr);
  return !has_program(route, attr) && passes_unjudged(descriptor_of(route, attr));
}

// Of what a program of its own makes active. A global function, which the verifier walks through
// once, however the call came here; `address` is that of the attributes.
__noinline int judge_by_route(struct task_note* note, __u64 address, __u32 route) {
  union bpf_attr* attr = bpf_core_cast((const void*)address, union bpf_attr);
  if (!note) return refuse_blind(BW_HOOK_ATTACH);
  switch (route) {
    case BW_ROUTE_LINK_CREATE:
      return judge_link(note, attr);
    case BW_ROUTE_LINK_UPDATE:
      return judge_link_update(note, attr);
    case BW_ROUTE_PROG_ATTACH:
      return judge_prog_attach(note, attr);
    case BW_ROUTE_RAW_TRACEPOINT_OPEN:
      return judge_raw_tracepoint(note, attr);
    case BW_ROUTE_TEST_RUN:
      return judge_run(note, attr);
    default:
      return judge_iterator(note, attr);
  }
}

// Reads the caller's memory, so its hook may sleep. `address` is that of the attributes.
static __always_inline int judge_call(int command, union bpf_attr* attr, __u64 address,
                                      bool kernel) {
  const enum bw_route route = route_of(command);
  if (route == BW_ROUTE_NONE || !asks_at_attach()) return 0;
  struct task_note* note = task_note(0);  // stamped as the call began, if there is one
  if (is_about_nothing(note, route, attr))
    return route == BW_ROUTE_MAP_UPDATE ? 0 : answer_nothing(descriptor_of(route, attr));
  note = note ? begin_attachment(note, route) : new_attachment(route);
  if (!note) return refuse_blind(BW_HOOK_ATTACH);
  if (route == BW_ROUTE_MAP_UPDATE) return judge_map_update(note, attr, kernel);
  return error_of(judge_by_route(note, address, route));
}
