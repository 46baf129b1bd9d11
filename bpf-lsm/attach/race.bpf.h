// What the kernel makes of an attachment that is watched (watch.bpf.h): the one that was judged, or
// another one.
#pragma once

#include "bpf-lsm/attach/destinations.bpf.h"
#include "bpf-lsm/attach/raced.bpf.h"
#include "bpf-lsm/attach/watch.bpf.h"

static __always_inline void describe_race(struct task_note* note, const struct bw_image* image,
                                          struct bpf_prog* prog) {
  struct bw_program* record = &note->draft;
  if (!prog || !recall(note, prog)) {
    new_draft(note);
    if (prog) describe_unknown(record, prog);
  }
  set_facts(record, image, &note->attachment);
  record->policy_version = image->policy_version;
  deny_now(
      image,
      note->attachment.route == BW_ROUTE_UNJUDGED ? BW_CAUSE_UNJUDGED_ROUTE : BW_CAUSE_ATTACH_RACE,
      record);
}

static __always_inline void report_race(struct task_note* note, const struct bw_image* image,
                                        struct bpf_prog* prog) {
  const struct bw_program* record = &note->draft;
  count(&record->decision, false);
  struct bw_event* event = begin_event(BW_HOOK_ATTACH, record->generation, &record->decision,
                                       aux_of(prog), SUM_DRAFT | SUM_EXE);
  if (!event) return;
  event->refused = bw_refused(&record->decision);
  describe_program(event, record);
  describe_policy(event, image);
  describe_task(event, note);
  __builtin_memcpy(event->exe, note->later.exe, BW_NAME_SIZE);
  if (prog)
    bpf_probe_read_kernel(event->program_name, BW_PROG_NAME_SIZE, BPF_CORE_READ(prog, aux, name));
  end_event(event);
}

// The attachment is not the one that was judged. Once for each call.
__noinline int answer_race(__u64 address) {
  struct bpf_prog* prog = (struct bpf_prog*)address;
  struct task_note* note = task_note(0);
  __u64 generation = 0;
  const struct bw_image* image = active_image(&generation);
  if (!note || !image || is_asleep()) return 0;
  note->attachment.watch.on = 0;
  describe_race(note, image, prog);
  note->draft.generation = generation;
  tally(note, &note->draft);
  report_race(note, image, prog);
  if (!bw_refused(&note->draft.decision)) return 0;
  if (prog) mark_raced((__u64)BPF_CORE_READ(prog, aux), note->attachment.route);
  mark_raced(note->attachment.watch.program_aux, note->attachment.route);
  if (!bpf_send_signal(SIGKILL)) note->condemned = 1;
  return 0;
}

static __always_inline bool is_error(const void* returned) { return (__u64)returned >= -4095ULL; }

static __always_inline struct attachment* watched_attachment(const void* found) {
  struct task_note* note = task_note(0);
  __u64 generation = 0;
  if (!note || !note->attachment.watch.on || is_error(found)) return 0;
  return decides_at_attach(active_image(&generation)) ? &note->attachment : 0;
}

// Whether the program may be attached by this caller, where it goes.
static __always_inline bool admits_there(struct task_note* note, const struct bw_image* image,
                                         struct bpf_prog* prog) {
  const struct bw_decision verdict = weigh(prog);
  return !bw_refused(&verdict) && (!note->attachment.watch.shared || bw_detects(image, &verdict));
}

static __always_inline bool has_record(struct bpf_prog* prog) {
  const __u64 key = (__u64)BPF_CORE_READ(prog, aux);
  return bpf_map_lookup_elem(&programs, &key);
}

// Whether the program may be attached at note->attachment by a caller that is watched.
__noinline int admits_watched(__u64 address) {
  struct bpf_prog* prog = (struct bpf_prog*)address;
  struct task_note* note = task_note(0);
  __u64 generation = 0;
  const struct bw_image* image = active_image(&generation);
  if (!note || !image) return 0;
  struct attachment* at = &note->attachment;
  int i;
  if (!has_record(prog))
    return is_resident(prog) && (!at->watch.shared || (image->flags & BW_IMAGE_DETECT));
  if (at->route == BW_ROUTE_MAP_UPDATE) take_point_of_load(at, prog);
  if (!note->destinations.count) return admits_there(note, image, prog);
  bpf_for(i, 0, (int)note->destinations.count) {
    const struct destination* to = &note->destinations.to[i & (MAX_DESTINATIONS - 1)];
    if (!goes_there(prog, to)) continue;
    take_destination(note, to);
    if (!admits_there(note, image, prog)) return 0;
  }
  return 1;
}

// Another program than the attachment's own has another descriptor: one to replace, or to stand
// beside.
static __always_inline int see_known(__u32 fd, struct bpf_prog* prog) {
  struct attachment* at = watched_attachment(prog);
  if (!at || at->watch.any_program) return 0;
  const __u64 aux = (__u64)BPF_CORE_READ(prog, aux);
  const bool is_program = fd == at->watch.program_fd;
  const bool is_object = (at->watch.awaits & WATCH_OBJECT) && fd == at->watch.object_fd;
  if (!is_program && !is_object) return 0;
  at->watch.seen |= is_program ? WATCH_PROGRAM : WATCH_OBJECT;
  return aux == (is_program ? at->watch.program_aux : at->watch.object) ? 0
                                                                        : answer_race((__u64)prog);
}

// An update of a map that held no programs when the hook saw it. It does now: somebody has put
// another one behind its descriptor. No note has been made of such calls, of which there are many.
static __always_inline bool is_other_map(const struct bpf_prog* prog) {
  const struct task_note* note = task_note(0);
  if (is_error(prog) || (note && note->attachment.route != BW_ROUTE_NONE)) return false;
  return bpf_command() == BPF_MAP_UPDATE_ELEM && shares_files() && asks_at_attach();
}

static __always_inline void watch_other_map(void) {
  struct task_note* note = new_attachment(BW_ROUTE_MAP_UPDATE);
  if (note) watch_any(note);
}

static __always_inline int see_object(__u32 fd, const void* object) {
  struct attachment* at = watched_attachment(object);
  if (!at || !(at->watch.awaits & WATCH_OBJECT) || fd != at->watch.object_fd) return 0;
  at->watch.seen |= WATCH_OBJECT;
  return (__u64)object == at->watch.object ? 0 : answer_race(0);
}

// What the function returns, as an address and not as the pointer that the verifier knows it for:
// global functions are handed addresses.
static __always_inline void* returned(void* context) {
  __u64 value = 0;
  bpf_get_func_ret(context, &value);
  return (void*)value;
}

// At the end of the call.
static int end_watch(struct bpf_map* map, void* key, void* value) {
  struct task_note* note = task_note(0);
  forget_end();
  if (note) note->attachment.watch.held_to_end = 0;
  if (!note || !note->attachment.watch.on) return 0;
  const struct attachment* at = &note->attachment;
  if (result_of_call() >= 0 && (at->watch.awaits & ~at->watch.seen)) answer_race(0);
  note->attachment.watch.on = 0;
  return 0;
}
