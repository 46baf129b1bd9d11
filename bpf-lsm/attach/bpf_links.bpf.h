// bpf(2): links, attachments and runs.
#pragma once

#include "bpf-lsm/attach/bpf_targets.bpf.h"
#include "bpf-lsm/attach/probe_files.bpf.h"
#include "bpf-lsm/attach/raw_tracepoint.bpf.h"

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
    if (judge_attachment(note, (__u64)prog)) return -EPERM;
  }
  return 0;
}

static __always_inline bool is_struct_ops(struct bpf_map* map) {
  return map && BPF_CORE_READ(map, map_type) == BPF_MAP_TYPE_STRUCT_OPS;
}

static __always_inline int judge_struct_ops(struct task_note* note, __u32 fd) {
  struct bpf_map* map = map_of(fd);
  if (!may_name(note, NO_DESCRIPTOR, 0)) return refuse_shared(0);
  note->attachment.watch.awaits = 0;  // nothing makes a program of a descriptor here
  watch_object(note, fd, map);
  note->attachment.attach_type = BPF_STRUCT_OPS;
  return error_of(is_struct_ops(map) && judge_operations((__u64)map));
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
  note->attachment.attach_type = attach_type_of(link);
  name_place_of_link(note, link);
  return judge_program(note, prog);
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
  return judge_program(note, prog);
}

static const __u64 kNamedTracepoints =
    ONE_TYPE(BPF_PROG_TYPE_RAW_TRACEPOINT) | ONE_TYPE(BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE);

static __always_inline void name_raw_tracepoint(struct task_note* note, struct bpf_prog* prog,
                                                union bpf_attr* attr) {
  struct attachment* at = &note->attachment;
  const bool is_anywhere = is_allowed_anywhere(note, prog);
  at->more = 0;
  if (!is_anywhere && !watch_memory(WATCH_OBJECT)) at->guard = BW_CAUSE_MISSING_FACT;
  name_user_string((const void*)attr->raw_tracepoint.name, &note->paths.found);
  own_tracepoint();
  at->target = note->paths.found;
}

static __always_inline int judge_raw_tracepoint(struct task_note* note, union bpf_attr* attr) {
  const __u32 fd = attr->raw_tracepoint.prog_fd;
  struct bpf_prog* prog = program_of(fd);
  if (!may_name(note, fd, prog)) return refuse_shared(prog);
  if (!prog) return 0;
  note->attachment.attach_type = BPF_CORE_READ(prog, expected_attach_type);
  if (is_of(prog, kNamedTracepoints)) name_raw_tracepoint(note, prog, attr);
  return judge_program(note, prog);
}

static __always_inline int judge_run(struct task_note* note, union bpf_attr* attr) {
  const __u32 fd = attr->test.prog_fd;
  struct bpf_prog* prog = program_of(fd);
  if (!may_name(note, fd, prog)) return refuse_shared(prog);
  if (!prog) return 0;
  note->attachment.attach_type = BPF_CORE_READ(prog, expected_attach_type);
  return judge_program(note, prog);
}

// The link has been judged when it was made, perhaps by another policy. Now its program is to run.
static __always_inline int judge_iterator(struct task_note* note, union bpf_attr* attr) {
  const __u32 fd = attr->iter_create.link_fd;
  struct bpf_link* link = link_of(fd);
  struct bpf_prog* prog = link ? BPF_CORE_READ(link, prog) : 0;
  if (!may_name(note, fd, prog)) return refuse_shared(prog);
  note->attachment.watch.awaits = 0;  // nothing makes a program of a descriptor here
  watch_object(note, fd, link);
  if (!prog || BPF_CORE_READ(link, type) != BPF_LINK_TYPE_ITER) return 0;
  take_point_of_load(&note->attachment, prog);
  return judge_program(note, prog);
}
