// bpf(2): maps that hold programs, and run them.
#pragma once

#include "bpf-lsm/attach/held_programs.bpf.h"

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
    const struct bw_decision verdict = weigh(prog);
    if (bw_refused(&verdict) && judge_attachment(note, (__u64)prog)) return -EPERM;
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
  note->attachment.watch.types = ~0ULL;  // whatever does not fit the kernel will not take
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
  note->attachment.watch.awaits = WATCH_PROGRAM;
  take_point_of_load(&note->attachment, prog);
  return judge_program(note, prog);
}
