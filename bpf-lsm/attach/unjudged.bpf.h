// The alarm under all ways (ADR 15). Each way in which a descriptor, or a path of bpffs, becomes a
// program that is used comes by one of three functions of the kernel. What is found there must have
// been judged by a hook in this very call, or the call must be one that activates nothing. If not,
// there is a way that no hook sees: it is told of, and where the policy enforces, the process is
// killed. It is an alarm and no wall: the kernel may skip a tracing program.
#pragma once

#include "bpf-lsm/attach/race.bpf.h"

#define SETTLING_NS 5000000000ULL  // that calls may take which began under another policy
#define BY_PATH (NO_DESCRIPTOR - 1)

// Commands of bpf(2) that turn a descriptor into a program and activate none. docs/ways.md has
// them, with what each wants of the program.
static const __u64 kInertCommands = 1ULL << BPF_PROG_LOAD | 1ULL << BPF_OBJ_PIN |
                                    1ULL << BPF_PROG_DETACH | 1ULL << BPF_PROG_BIND_MAP |
                                    1ULL << BPF_PROG_STREAM_READ_BY_FD |
                                    1ULL << BPF_PROG_ASSOC_STRUCT_OPS;

static __always_inline bool is_inert(__s64 command) {
  return command >= 0 && command < 64 && ((kInertCommands >> command) & 1);
}

// Of a command that has been judged, other descriptors are of programs to replace, to stand beside,
// or to extend.
static __always_inline bool is_judged(const struct task_note* note, __u32 fd, __u64 aux,
                                      struct bpf_prog* prog) {
  const struct attachment* at = &note->attachment;
  if (at->route == BW_ROUTE_NONE) return is_inert(note->call.command);
  if (fd == BY_PATH) return aux == at->watch.program_aux;
  if (at->watch.types) return is_of(prog, at->watch.types);
  return fd != at->watch.program_fd || aux == at->watch.program_aux;
}

// A call that is under way while a policy becomes active was judged by the one before, which may
// have had nothing to judge.
static __always_inline bool is_settled(void) {
  const struct bw_control* word = bpf_map_lookup_elem(&control, ARRAY_ZERO);
  if (!word || !word->attached_ns || is_asleep()) return false;
  const __u64 now = bpf_ktime_get_boot_ns();
  const bool has_returned = deciding_generation(word) != word->generation;
  const __u64 since = has_returned ? word->confirm_by_ns : word->active_since_ns;
  return now - word->attached_ns > SETTLING_NS && now - since > SETTLING_NS;
}

static __always_inline void note_unjudged(struct bpf_prog* prog) {
  const struct pt_regs* regs = (void*)bpf_task_pt_regs(bpf_get_current_task_btf());
  const __u64 aux = (__u64)BPF_CORE_READ(prog, aux);
  const struct bw_unjudged* before = bpf_map_lookup_elem(&unjudged, &aux);
  struct bw_unjudged entry = {.time_ns = bpf_ktime_get_boot_ns(),
                              .count = before ? before->count + 1 : 1,
                              .arguments = {first_in(regs), second_in(regs)},
                              .program_id = BPF_CORE_READ(prog, aux, id),
                              .system_call = number_in(regs)};
  bpf_map_update_elem(&unjudged, &aux, &entry, BPF_ANY);
}

// Which call it was, where others name a place.
static __always_inline void name_call(struct bw_name* place) {
  const struct pt_regs* regs = (void*)bpf_task_pt_regs(bpf_get_current_task_btf());
  forget(place);
  set_length(place, BPF_SNPRINTF((char*)place->bytes, BW_NAME_SIZE, "system call %d (0x%lx, 0x%lx)",
                                 (int)number_in(regs), first_in(regs), second_in(regs)));
}

// A global function, which the verifier walks through once: `address` is that of the program.
__noinline int answer_unjudged(__u64 address, __u32 fd) {
  struct task_note* note = new_attachment(BW_ROUTE_UNJUDGED);
  if (!note) return 0;
  note_unjudged((struct bpf_prog*)address);
  note_program(note, fd, (struct bpf_prog*)address);  // once for each call
  name_call(&note->attachment.place);
  note_exe(note);
  return answer_race(address);
}

// Whatever the kernel finds by a descriptor; or by a path, then `fd` is BY_PATH.
static __always_inline int require_judged(__u32 fd, struct bpf_prog* prog) {
  if (is_error(prog)) return 0;
  __u64 generation = 0;
  const struct task_note* note = task_note(0);
  const bool is_known = note && note->call.stamp == call_stamp();
  const __u64 aux = (__u64)BPF_CORE_READ(prog, aux);
  if (is_known ? is_judged(note, fd, aux, prog) : is_inert(bpf_command())) return 0;
  if (!decides_at_attach(active_image(&generation))) return 0;
  return is_resident(prog) || !is_settled() ? 0 : answer_unjudged((__u64)prog, fd);
}

static __always_inline int see_program(__u32 fd, struct bpf_prog* prog) {
  if (is_other_map(prog)) watch_other_map();
  struct attachment* at = watched_attachment(prog);
  if (!at) return require_judged(fd, prog);
  if (!at->watch.any_program) return see_known(fd, prog);
  at->watch.seen |= WATCH_PROGRAM;
  return admits_watched((__u64)prog) ? 0 : answer_race((__u64)prog);
}

static __always_inline int see_inlined(__u32 fd, struct bpf_prog* prog) {
  return watched_attachment(prog) ? see_known(fd, prog) : require_judged(fd, prog);
}
