// bpf(2): links, attachments, runs, and maps that hold programs.
#pragma once

#include "bpf-lsm/attach/attach_multi.bpf.h"
#include "bpf-lsm/attach/attach_nothing.bpf.h"
#include "bpf-lsm/attach/probe_files.bpf.h"

static const __u64 kDeviceTypes = ONE_TYPE(BPF_PROG_TYPE_XDP) | ONE_TYPE(BPF_PROG_TYPE_SCHED_CLS);
static const __u64 kCgroupTypes =
    ONE_TYPE(BPF_PROG_TYPE_CGROUP_SKB) | ONE_TYPE(BPF_PROG_TYPE_CGROUP_SOCK) |
    ONE_TYPE(BPF_PROG_TYPE_CGROUP_SOCK_ADDR) | ONE_TYPE(BPF_PROG_TYPE_SOCK_OPS) |
    ONE_TYPE(BPF_PROG_TYPE_CGROUP_DEVICE) | ONE_TYPE(BPF_PROG_TYPE_CGROUP_SYSCTL) |
    ONE_TYPE(BPF_PROG_TYPE_CGROUP_SOCKOPT);

#define MAX_OPERATIONS 1024  // of one struct_ops: kernel/bpf/bpf_struct_ops.c has no limit

static __always_inline bool goes_to_cgroup(struct bpf_prog* prog) {
  return is_of(prog, kCgroupTypes) || (is_of(prog, ONE_TYPE(BPF_PROG_TYPE_LSM)) &&
                                       BPF_CORE_READ(prog, expected_attach_type) == BPF_LSM_CGROUP);
}

// ---- Links and attachments ----------------------------------------------------------------------

// The function of another program that freplace is to replace. Returns what is known of the
// program.
static __always_inline struct bpf_prog_aux* retarget(struct attachment* at, __u32 fd,
                                                     __u32 btf_id) {
  struct bpf_prog* target = program_of(fd);
  struct btf* btf = target ? BPF_CORE_READ(target, aux, btf) : 0;
  const char* name = btf ? btf_type_name(btf, btf_id) : 0;
  at->retargeted = 1;
  if (name)
    set_length(&at->target, bpf_probe_read_kernel_str(at->target.bytes, BW_NAME_SIZE, name));
  return target ? BPF_CORE_READ(target, aux) : 0;
}

static __always_inline bool name_perf_event_of(struct task_note* note, __u32 fd) {
  struct perf_event* event = object_of(open_file(fd), &perf_fops);
  watch_object(note, fd, event);
  if (event) name_perf_event((__u64)event);
  return event;
}

static __always_inline bool goes_to_perf_event(struct bpf_prog* prog, __u32 attach_type) {
  return is_of(prog, ONE_TYPE(BPF_PROG_TYPE_PERF_EVENT) | ONE_TYPE(BPF_PROG_TYPE_TRACEPOINT)) ||
         (is_of(prog, ONE_TYPE(BPF_PROG_TYPE_KPROBE)) && attach_type == BPF_PERF_EVENT);
}

// False: what it names is no such thing, as the kernel is about to say.
static __always_inline bool name_link_target(struct task_note* note, struct bpf_prog* prog,
                                             union bpf_attr* attr) {
  struct attachment* at = &note->attachment;
  const __u32 target = attr->link_create.target_fd;
  if (goes_to_perf_event(prog, at->attach_type)) return name_perf_event_of(note, target);
  if (is_of(prog, kDeviceTypes))
    name_device_at(target);
  else if (goes_to_cgroup(prog))
    watch_object(note, target, name_cgroup_of(note, target));
  else if (is_of(prog, ONE_TYPE(BPF_PROG_TYPE_EXT)) && attr->link_create.target_btf_id)
    watch_object(note, target, retarget(at, target, attr->link_create.target_btf_id));
  return true;
}

// The programs of a map of struct_ops were judged when it was filled, perhaps by another policy.
// Now they are to run. One event tells of them: of the first that is denied, or of the last.
__noinline int judge_operations(__u64 address) {
  struct bpf_struct_ops_map* map = (struct bpf_struct_ops_map*)address;
  struct bpf_link** links = BPF_CORE_READ(map, links);
  const __u32 count = BPF_CORE_READ(map, funcs_cnt);
  struct task_note* note = task_note(0);
  int i;
  if (!note) return refuse_blind(BW_HOOK_ATTACH);
  bpf_for(i, 0, (int)count) {
    struct bpf_link* link = 0;
    if (i >= MAX_OPERATIONS || bpf_probe_read_kernel(&link, sizeof(link), links + i))
      return refuse_blind(BW_HOOK_ATTACH);
    struct bpf_prog* prog = link ? BPF_CORE_READ(link, prog) : 0;
    if (!prog) continue;
    note->attachment.more = (__u32)i + 1 < count;
    if (judge_attachment((__u64)prog)) return -EPERM;
  }
  return 0;
}

static __always_inline bool is_struct_ops(struct bpf_map* map) {
  return map && BPF_CORE_READ(map, map_type) == BPF_MAP_TYPE_STRUCT_OPS;
}

static __always_inline int judge_struct_ops(struct task_note* note, __u32 fd) {
  struct bpf_map* map = map_of(fd);
  if (!may_name(note, NO_DESCRIPTOR, 0)) return refuse_shared(0);
  note->attachment.awaits = 0;  // nothing makes a program of a descriptor here
  watch_object(note, fd, map);
  note->attachment.attach_type = BPF_STRUCT_OPS;
  return is_struct_ops(map) && judge_operations((__u64)map) ? -EPERM : 0;
}

static __always_inline int judge_link(struct task_note* note, union bpf_attr* attr) {
  const __u32 attach_type = attr->link_create.attach_type;
  if (attach_type == BPF_STRUCT_OPS) return judge_struct_ops(note, attr->link_create.map_fd);
  const __u32 fd = attr->link_create.prog_fd;
  struct bpf_prog* prog = program_of(fd);
  if (!may_name(note, fd, prog)) return refuse_shared(prog);
  if (!prog) return 0;
  note->attachment.attach_type = attach_type;
  if (is_of(prog, ONE_TYPE(BPF_PROG_TYPE_TRACING)) && is_multi_tracing(attr, attach_type))
    return judge_each((__u64)prog, attr->link_create.tracing_multi.ids,
                      attr->link_create.tracing_multi.cnt, LISTED_BTF_ID);
  if (is_of(prog, ONE_TYPE(BPF_PROG_TYPE_KPROBE))) {
    if (attach_type == BPF_TRACE_KPROBE_MULTI || attach_type == BPF_TRACE_KPROBE_SESSION)
      return judge_kprobes(note, prog, attr);
    if (attach_type == BPF_TRACE_UPROBE_MULTI || attach_type == BPF_TRACE_UPROBE_SESSION)
      return judge_uprobes(note, prog, attr);
  }
  return name_link_target(note, prog, attr) ? judge_at_event(note, prog) : 0;
}

static __always_inline int judge_link_update(struct task_note* note, union bpf_attr* attr) {
  const __u32 fd = attr->link_update.new_prog_fd;
  struct bpf_prog* prog = program_of(fd);
  struct bpf_link* link = link_of(attr->link_update.link_fd);
  if (link && BPF_CORE_READ(link, type) == BPF_LINK_TYPE_STRUCT_OPS)
    return judge_struct_ops(note, attr->link_update.new_map_fd);
  if (!may_name(note, fd, prog)) return refuse_shared(prog);
  watch_object(note, attr->link_update.link_fd, link);
  if (!link || !prog) return 0;
  note->attachment.attach_type = BPF_CORE_READ(link, attach_type);
  name_place_of_link(note, link);
  return judge_program(prog);
}

static __always_inline int judge_prog_attach(struct task_note* note, union bpf_attr* attr) {
  struct bpf_prog* prog = program_of(attr->attach_bpf_fd);
  if (!may_name(note, attr->attach_bpf_fd, prog)) return refuse_shared(prog);
  if (!prog) return 0;
  note->attachment.attach_type = attr->attach_type;
  if (is_of(prog, kDeviceTypes))
    name_device_at(attr->target_fd);
  else if (goes_to_cgroup(prog))
    watch_object(note, attr->target_fd, name_cgroup_of(note, attr->target_fd));
  return judge_program(prog);
}

static const __u64 kNamedTracepoints =
    ONE_TYPE(BPF_PROG_TYPE_RAW_TRACEPOINT) | ONE_TYPE(BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE);

static __always_inline void name_raw_tracepoint(struct task_note* note, struct bpf_prog* prog,
                                                union bpf_attr* attr) {
  struct attachment* at = &note->attachment;
  const bool is_anywhere = is_allowed_anywhere(note, prog);
  at->more = 0;
  if (!is_anywhere && !watch_memory(WATCH_OBJECT)) at->guard = BW_CAUSE_MISSING_FACT;
  name_user_string((const void*)attr->raw_tracepoint.name, &note->found);
  own_tracepoint();
  at->target = note->found;
}

static __always_inline int judge_raw_tracepoint(struct task_note* note, union bpf_attr* attr) {
  const __u32 fd = attr->raw_tracepoint.prog_fd;
  struct bpf_prog* prog = program_of(fd);
  if (!may_name(note, fd, prog)) return refuse_shared(prog);
  if (!prog) return 0;
  note->attachment.attach_type = BPF_CORE_READ(prog, expected_attach_type);
  if (is_of(prog, kNamedTracepoints)) name_raw_tracepoint(note, prog, attr);
  return judge_program(prog);
}

static __always_inline int judge_run(struct task_note* note, union bpf_attr* attr) {
  const __u32 fd = attr->test.prog_fd;
  struct bpf_prog* prog = program_of(fd);
  if (!may_name(note, fd, prog)) return refuse_shared(prog);
  if (!prog) return 0;
  note->attachment.attach_type = BPF_CORE_READ(prog, expected_attach_type);
  return judge_program(prog);
}

// The link has been judged when it was made, perhaps by another policy. Now its program is to run.
static __always_inline int judge_iterator(struct task_note* note, union bpf_attr* attr) {
  const __u32 fd = attr->iter_create.link_fd;
  struct bpf_link* link = link_of(fd);
  struct bpf_prog* prog = link ? BPF_CORE_READ(link, prog) : 0;
  if (!may_name(note, fd, prog)) return refuse_shared(prog);
  note->attachment.awaits = 0;  // nothing makes a program of a descriptor here
  watch_object(note, fd, link);
  if (!prog || BPF_CORE_READ(link, type) != BPF_LINK_TYPE_ITER) return 0;
  take_point_of_load(&note->attachment, prog);
  return judge_program(prog);
}

// ---- Maps of programs ---------------------------------------------------------------------------

// struct bpf_devmap_val and struct bpf_cpumap_val: a number, then the program's descriptor.
static __always_inline __u32 program_in(__u32 map_type, const __u32* value) {
  __u32 first = value[0], second = value[1];
  barrier_var(first);  // or clang chooses between their addresses, which the verifier refuses
  barrier_var(second);
  return map_type == BPF_MAP_TYPE_PROG_ARRAY ? first : second;
}

// Whether the map takes a program: as the kernel will ask, or as far as it does before.
static __always_inline bool takes(struct bpf_map* map, struct bpf_prog* prog) {
  const __u32 type = BPF_CORE_READ(map, map_type);
  const struct bpf_map_owner* owner = BPF_CORE_READ(map, owner);
  if (type == BPF_MAP_TYPE_PROG_ARRAY)
    return !owner || is_of(prog, ONE_TYPE(BPF_CORE_READ(owner, type) & 63));
  const __u32 wanted = type == BPF_MAP_TYPE_CPUMAP ? BPF_XDP_CPUMAP : BPF_XDP_DEVMAP;
  return is_of(prog, ONE_TYPE(BPF_PROG_TYPE_XDP)) &&
         BPF_CORE_READ(prog, expected_attach_type) == wanted;
}

// The kernel reads the new value once more, from memory where anybody may write meanwhile, and what
// it has read no hook sees. So every program that the caller holds, and the map takes, must be
// allowed there. Of those that are, nothing is told.
__noinline int judge_every_fitting(__u64 address) {
  struct bpf_map* map = (struct bpf_map*)address;
  struct task_note* note = task_note(0);
  struct bpf_prog* judged = 0;
  __u32 from = 0;
  int i;
  if (!note) return refuse_blind(BW_HOOK_ATTACH);
  bpf_for(i, 0, MAX_HELD) {
    const int fd = next_held(from, ~0ULL);
    if (fd < 0) return 0;
    if (fd >= MAX_HELD) return refuse_blind(BW_HOOK_ATTACH);
    from = (__u32)fd + 1;
    struct bpf_prog* prog = program_of((__u32)fd);
    if (!prog || prog == judged || !takes(map, prog)) continue;
    take_point_of_load(&note->attachment, prog);
    note->attachment.quiet = 1;
    judge_attachment((__u64)prog);
    note->attachment.quiet = 0;
    if (bw_refused(&note->draft.decision) && judge_attachment((__u64)prog)) return -EPERM;
    judged = prog;
  }
  return 0;
}

static __always_inline bool judge_fitting(struct bpf_map* map) {
  return judge_every_fitting((__u64)map);
}

// The program runs where others hand packets or calls on to it: at no place in particular.
static __always_inline int judge_map_update(struct task_note* note, union bpf_attr* attr,
                                            bool kernel) {
  struct bpf_map* map = map_of(attr->map_fd);
  const bool is_shared = shares_files();
  __u32 value[2] = {}, size = sizeof(value);
  if (is_shared) watch_any(note);
  if (!map) return 0;
  note->attachment.types = ~0ULL;  // whatever does not fit the kernel will not take
  const __u32 type = BPF_CORE_READ(map, map_type);
  if (type == BPF_MAP_TYPE_STRUCT_OPS)
    return judge_held_programs(ONE_TYPE(BPF_PROG_TYPE_STRUCT_OPS));
  if (type == BPF_MAP_TYPE_PROG_ARRAY)
    size = sizeof(__u32);
  else if (type != BPF_MAP_TYPE_DEVMAP && type != BPF_MAP_TYPE_DEVMAP_HASH &&
           type != BPF_MAP_TYPE_CPUMAP)
    return 0;
  else if (BPF_CORE_READ(map, value_size) < sizeof(value))
    return 0;  // numbers alone
  const void* from = (const void*)attr->value;
  const long unread =
      kernel ? bpf_probe_read_kernel(value, size, from) : bpf_copy_from_user(value, size, from);
  struct bpf_prog* prog = unread ? 0 : program_of(program_in(type, value));
  if (is_shared && !may_watch()) return refuse_shared(prog);
  if (!kernel && !is_shared && judge_fitting(map)) return -EPERM;
  if (!prog) return 0;
  if (is_shared && !hold_to_end(note)) return refuse_shared(prog);
  note->attachment.awaits = WATCH_PROGRAM;
  take_point_of_load(&note->attachment, prog);
  return judge_program(prog);
}

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
static __always_inline bool is_about_nothing(enum bw_route route, union bpf_attr* attr) {
  if (route == BW_ROUTE_MAP_UPDATE) return !has_program(route, attr);
  if (!shares_files()) return !task_note(0) && !has_program(route, attr);
  return !has_program(route, attr) && passes_unjudged(descriptor_of(route, attr));
}

// Of what a program of its own makes active. A global function, which the verifier walks through
// once, however the call came here; `address` is that of the attributes.
__noinline int judge_by_route(__u64 address, __u32 route) {
  union bpf_attr* attr = bpf_core_cast((const void*)address, union bpf_attr);
  struct task_note* note = task_note(0);
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
  if (is_about_nothing(route, attr))
    return route == BW_ROUTE_MAP_UPDATE ? 0 : answer_nothing(descriptor_of(route, attr));
  struct task_note* note = new_attachment(route);
  if (!note) return refuse_blind(BW_HOOK_ATTACH);
  if (route == BW_ROUTE_MAP_UPDATE) return judge_map_update(note, attr, kernel);
  return judge_by_route(address, route) ? -EPERM : 0;
}
