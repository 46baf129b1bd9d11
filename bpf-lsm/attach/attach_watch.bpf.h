// What the kernel reads once more after the hook, and somebody may have changed meanwhile. It is
// looked at again as the kernel has it. If that is not what was judged, the process is killed, and
// its links go with it.
//
// Descriptors can be changed by who shares them: under `multithreaded-attach = "detect"` it may
// attach, and is watched. Memory can be changed by anybody: a page may be mapped twice, and root
// writes to any process. So whatever is read from there is watched, whoever calls.
//
// Tracing programs see it, which the kernel may skip. So each must have been there once a call that
// names the descriptor has gone through: if one was not, that counts as the worst it could have
// shown. That is looked at on the way back to user space (ADR 12).
#pragma once

#include "bpf-lsm/attach/attach.bpf.h"
#include "bpf-lsm/attach/raced.bpf.h"
#include "bpf-lsm/attach/raw_tracepoint.bpf.h"
#include "bpf-lsm/call_end.bpf.h"

enum {
  WATCH_PROGRAM = 1,
  WATCH_OBJECT = 2,
  WATCH_TARGETS = 4,  // of a probe that has many
  MAX_THREADS = 4096,
  SIGKILL = 9,
  PT_TRACE_EXIT = 1 << 9,  // include/linux/ptrace.h
};

// ---- Before the call ----------------------------------------------------------------------------

// Whether all who share the caller's table are threads of its process: they can be killed with it.
// The first process cannot be, and a traced thread may be held at its end.
static __noinline bool shares_within_process(void) {
  const struct task_struct* task = bpf_get_current_task_btf();
  const struct files_struct* files = BPF_CORE_READ(task, files);
  struct signal_struct* signal = BPF_CORE_READ(task, signal);
  struct list_head* head = (void*)signal + bpf_core_field_offset(struct signal_struct, thread_head);
  struct list_head* node = BPF_CORE_READ(head, next);
  int sharing = 0, i;
  bpf_for(i, 0, MAX_THREADS) {
    if (!node || node == head) break;
    struct task_struct* thread =
        (void*)node - bpf_core_field_offset(struct task_struct, thread_node);
    if (BPF_CORE_READ(thread, files) == files && !BPF_CORE_READ(thread, ptrace)) sharing++;
    node = BPF_CORE_READ(node, next);
  }
  return BPF_CORE_READ(task, tgid) != 1 && sharing >= BPF_CORE_READ(files, count.counter);
}

// Whether the policy lets anybody attach who shares descriptors.
static __noinline bool may_watch(void) {
  __u64 generation = 0;
  const struct bw_image* image = active_image(&generation);
  return decides_at_attach(image) && (image->flags & BW_IMAGE_DETECT_SOME) &&
         shares_within_process();
}

static __always_inline void note_exe(struct task_note* note) { read_exe(note, note->exe); }

static int end_watch(struct bpf_map* map, void* key, void* value);

// The end of the call is awaited, and nobody gets at the process until then: see
// process_reached.bpf.h.
static __always_inline bool hold_to_end(struct task_note* note) {
  if (!await_end(end_watch)) return false;
  note->attachment.held_to_end = 1;
  return true;
}

// Which program is judged, and by which number the kernel is going to find it.
static __always_inline void note_program(struct task_note* note, __u32 fd, struct bpf_prog* prog) {
  note->attachment.program_fd = fd;
  note->attachment.program_aux = prog ? (__u64)BPF_CORE_READ(prog, aux) : 0;
}

// Of the program that is noted. False: to be refused.
static __always_inline bool watch(struct task_note* note) {
  if (!may_watch() || !hold_to_end(note)) return false;
  note_exe(note);
  note->attachment.watched = note->attachment.shared = 1;
  note->attachment.awaits = WATCH_PROGRAM;
  return true;
}

// Whether the call may name that program, if there is one: who shares its descriptors has to be
// watched. Loaders try out, too, what comes of a descriptor where no program is.
static __always_inline bool may_name(struct task_note* note, __u32 fd, struct bpf_prog* prog) {
  note_program(note, fd, prog);
  return !shares_files() || watch(note);
}

// Who traces the caller may keep it, and its descriptors, once it is killed.
static __always_inline bool dies_when_killed(void) {
  const struct task_struct* task = bpf_get_current_task_btf();
  return BPF_CORE_READ(task, tgid) != 1 && !(BPF_CORE_READ(task, ptrace) & PT_TRACE_EXIT);
}

// What the kernel is to read from the caller's memory. False: to be refused, for nobody can kill
// the first process, or one that is held at its end.
static __noinline bool watch_memory(__u8 awaits) {
  struct task_note* note = task_note(0);
  if (!note) return false;
  struct attachment* at = &note->attachment;
  at->awaits |= awaits;
  if (at->watched) return true;
  if (!dies_when_killed() || !hold_to_end(note)) return false;
  note_exe(note);
  at->watched = 1;
  return true;
}

// Of whatever program the call finds, where no hook can read which: whether any may be attached so
// or not.
static __always_inline void watch_any(struct task_note* note) {
  note->exe[0] = 0;
  note->attachment.watched = note->attachment.shared = 1;
  note->attachment.any_program = 1;
}

// What the program goes to.
static __always_inline void watch_object(struct task_note* note, __u32 fd, const void* object) {
  note->attachment.object_fd = fd;
  note->attachment.object = (__u64)object;
  note->attachment.awaits |= WATCH_OBJECT;
}

// ---- Held programs ------------------------------------------------------------------------------
// Some calls name the program where no hook can read it. It is one of those whose descriptors the
// caller holds, so each of them that fits must be allowed there.

// Whether a call that may attach programs of these types needs no look: the caller holds none, and
// nobody else can give it one meanwhile.
static __always_inline bool holds_none(__u64 types) {
  return !shares_files() && next_held(0, types) < 0;
}

static __always_inline bool goes_there(struct bpf_prog* prog, const struct destination* to) {
  return is_of(prog, to->types);
}

static __always_inline void take_destination(struct task_note* note, const struct destination* to) {
  struct attachment* at = &note->attachment;
  at->attach_type = to->attach_type;
  forget(&at->place);
  if (to->ifindex) name_device_in(note->net, to->ifindex);
}

// One program that is held, wherever the call may put it. Returns -EPERM or 0.
__noinline int judge_everywhere(__u64 address) {
  struct bpf_prog* prog = (struct bpf_prog*)address;
  struct task_note* note = task_note(0);
  int i;
  if (!note) return refuse_blind(BW_HOOK_ATTACH);
  note->attachment.told = 0;
  if (!note->destination_count) return judge_attachment(address) ? -EPERM : 0;
  bpf_for(i, 0, (int)note->destination_count) {
    const struct destination* to = &note->destinations[i & (MAX_DESTINATIONS - 1)];
    if (!goes_there(prog, to)) continue;
    take_destination(note, to);
    note->attachment.told = 0;
    if (judge_attachment(address)) return -EPERM;
  }
  return 0;
}

// `types`: a bit for each enum bpf_prog_type. Returns -EPERM or 0. Who has one program open many
// times has it judged once.
__noinline int judge_held(__u64 types) {
  const bool is_shared = shares_files();
  struct task_note* note = task_note(0);
  struct bpf_prog* judged = 0;
  __u32 from = 0;
  int i;
  if (!note) return refuse_blind(BW_HOOK_ATTACH);
  if (is_shared) {
    watch_any(note);
    note_exe(note);
  }
  const bool is_refused = is_shared && !may_watch();
  note->attachment.types |= types;
  bpf_for(i, 0, MAX_HELD) {
    const int fd = next_held(from, types);
    if (fd < 0) return 0;
    if (fd >= MAX_HELD) return refuse_shared(0);
    from = (__u32)fd + 1;
    struct bpf_prog* prog = program_of((__u32)fd);
    if (!prog || prog == judged) continue;
    if (is_refused) return refuse_shared(prog);
    if (judge_everywhere((__u64)prog)) return -EPERM;
    judged = prog;
  }
  return 0;
}

static __always_inline int judge_held_programs(__u64 types) {
  return judge_held(types) ? -EPERM : 0;
}

// ---- What the kernel makes of it ----------------------------------------------------------------

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
  struct bw_event* event = new_event(BW_HOOK_ATTACH, true);
  count(&record->decision, false, false);
  if (!event) {
    sum_up(BW_HOOK_ATTACH, record->generation, word_of(&record->decision), aux_of(prog),
           SUM_DRAFT | SUM_EXE);
    return;
  }
  event->refused = bw_refused(&record->decision);
  describe_program(event, record);
  describe_policy(event, image);
  describe_task(event, note);
  __builtin_memcpy(event->exe, note->exe, BW_EXE_SIZE);
  if (prog)
    bpf_probe_read_kernel(event->program_name, BW_PROG_NAME_SIZE, BPF_CORE_READ(prog, aux, name));
  bpf_ringbuf_submit(event, 0);
}

// The attachment is not the one that was judged. Once for each call.
__noinline int answer_race(__u64 address) {
  struct bpf_prog* prog = (struct bpf_prog*)address;
  struct task_note* note = task_note(0);
  __u64 generation = 0;
  const struct bw_image* image = active_image(&generation);
  if (!note || !image) return 0;
  note->attachment.watched = 0;
  describe_race(note, image, prog);
  note->draft.generation = generation;
  tally(note, &note->draft);
  report_race(note, image, prog);
  if (!bw_refused(&note->draft.decision)) return 0;
  if (prog) mark_raced((__u64)BPF_CORE_READ(prog, aux), note->attachment.route);
  mark_raced(note->attachment.program_aux, note->attachment.route);
  if (!bpf_send_signal(SIGKILL)) note->condemned = 1;
  return 0;
}

static __always_inline bool is_error(const void* returned) { return (__u64)returned >= -4095ULL; }

static __always_inline struct attachment* watched_attachment(const void* found) {
  struct task_note* note = task_note(0);
  __u64 generation = 0;
  if (!note || !note->attachment.watched || is_error(found)) return 0;
  return decides_at_attach(active_image(&generation)) ? &note->attachment : 0;
}

// The program becomes active at no place in particular: by what it was loaded for.
static __always_inline void take_point_of_load(struct attachment* at, struct bpf_prog* prog) {
  if (is_of(prog, ONE_TYPE(BPF_PROG_TYPE_KPROBE))) at->probe = 1 + BW_PROBE_KPROBE;
  at->attach_type = BPF_CORE_READ(prog, expected_attach_type);
}

// Whether the program of note->draft may be attached by this caller, where it goes.
static __always_inline bool admits_there(struct task_note* note, const struct bw_image* image,
                                         __u64 generation) {
  judge_at(note, image, generation);
  return !bw_refused(&note->draft.decision) &&
         (!note->attachment.shared || bw_detects(image, &note->draft.decision));
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
  if (!recall(note, prog))
    return is_resident(prog) && (!at->shared || (image->flags & BW_IMAGE_DETECT));
  if (at->route == BW_ROUTE_MAP_UPDATE) take_point_of_load(at, prog);
  if (!note->destination_count) return admits_there(note, image, generation);
  bpf_for(i, 0, (int)note->destination_count) {
    const struct destination* to = &note->destinations[i & (MAX_DESTINATIONS - 1)];
    if (!goes_there(prog, to)) continue;
    take_destination(note, to);
    if (!admits_there(note, image, generation)) return 0;
  }
  return 1;
}

// Another program than the attachment's own has another descriptor: one to replace, or to stand
// beside.
static __always_inline int see_known(__u32 fd, struct bpf_prog* prog) {
  struct attachment* at = watched_attachment(prog);
  if (!at || at->any_program) return 0;
  const __u64 aux = (__u64)BPF_CORE_READ(prog, aux);
  const bool is_program = fd == at->program_fd;
  const bool is_object = (at->awaits & WATCH_OBJECT) && fd == at->object_fd;
  if (!is_program && !is_object) return 0;
  at->seen |= is_program ? WATCH_PROGRAM : WATCH_OBJECT;
  return aux == (is_program ? at->program_aux : at->object) ? 0 : answer_race((__u64)prog);
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
  if (!at || !(at->awaits & WATCH_OBJECT) || fd != at->object_fd) return 0;
  at->seen |= WATCH_OBJECT;
  return (__u64)object == at->object ? 0 : answer_race(0);
}

// What the function returns, as an address and not as the pointer that the verifier knows it for:
// global functions are handed addresses.
static __always_inline void* returned(void* context) {
  __u64 value = 0;
  bpf_get_func_ret(context, &value);
  return (void*)value;
}

SEC("fexit/cgroup_get_from_fd")
int BPF_PROG(see_cgroup, int fd) {
  struct cgroup* cgroup = returned(ctx);
  return is_error(cgroup) ? 0 : see_object(fd, BPF_CORE_READ(cgroup, kn));
}

SEC("fexit/perf_event_get")
int BPF_PROG(see_perf_event, __u32 fd) {
  struct file* file = returned(ctx);
  return is_error(file) ? 0 : see_object(fd, BPF_CORE_READ(file, private_data));
}

SEC("fexit/bpf_map_get")
int BPF_PROG(see_map, __u32 fd) { return see_object(fd, returned(ctx)); }

SEC("fexit/bpf_link_get_from_fd")
int BPF_PROG(see_link, __u32 fd) { return see_object(fd, returned(ctx)); }

// The tracepoint by the name that the kernel has read. It has no descriptor. Nothing below
// kernel/trace can be traced itself.
SEC("fentry/tracepoint_probe_register_prio_may_exist")
int BPF_PROG(see_tracepoint, struct tracepoint* point) {
  struct task_note* note = task_note(0);
  struct attachment* at = watched_attachment(point);
  if (!note || !at || at->route != BW_ROUTE_RAW_TRACEPOINT_OPEN) return 0;
  if (!(at->awaits & WATCH_OBJECT)) return 0;  // a program whose load has named its target
  struct bw_name* actual = &note->found;
  const char* name = BPF_CORE_READ(point, name);
  forget(actual);
  set_length(actual, bpf_probe_read_kernel_str(actual->bytes, BW_NAME_SIZE, name));
  own_tracepoint();
  at->seen |= WATCH_OBJECT;
  for (int i = 0; i < BW_NAME_WORDS; i++)
    if (actual->words[i] != at->target.words[i]) return answer_race(0);
  return 0;
}

// At the end of the call.
static int end_watch(struct bpf_map* map, void* key, void* value) {
  struct task_note* note = task_note(0);
  forget_end();
  if (note) note->attachment.held_to_end = 0;
  if (!note || !note->attachment.watched) return 0;
  const struct attachment* at = &note->attachment;
  if (result_of_call() >= 0 && (at->awaits & ~at->seen)) answer_race(0);
  note->attachment.watched = 0;
  return 0;
}
