// Where events go. Denials have a ring buffer of their own, which what was allowed cannot fill.
// Past so many a second, and where there is no room, they are summed up: by rule or cause, program
// and caller, with exact counts and the first of them whole.
#pragma once

#include "bpf-lsm/abi/summary.h"
#include "bpf-lsm/events/counters.bpf.h"
#include "bpf-lsm/events/describe.bpf.h"
#include "bpf-lsm/judge.bpf.h"

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 1 << 22);
} denials SEC(".maps");

// As allowed_second.
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, __u64);
} denied_second SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, BW_MAX_SUMMARIES);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, struct bw_summary_key);
  __type(value, struct bw_summary);
} summaries SEC(".maps");

// The reader's: of each summary, how many of its count are told.
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 2 * BW_MAX_SUMMARIES);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, struct bw_summary_key);
  __type(value, __u64);
} summaries_told SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 2 * BW_CAUSES);
  __type(key, __u32);
  __type(value, __u64);
} summed_rest SEC(".maps");

// ---- Events -------------------------------------------------------------------------------------

static __always_inline bool are_too_many(void) {
  __u64* word = bpf_map_lookup_elem(&denied_second, ARRAY_ZERO);
  return word && count_in_window(word, bpf_ktime_get_boot_ns() / 1000000000) >= BW_DENIALS_A_SECOND;
}

static __always_inline struct bw_event* reserve_event(bool is_denial) {
  if (!is_denial) return bpf_ringbuf_reserve(&events, sizeof(struct bw_event), 0);
  if (are_too_many()) return 0;
  return bpf_ringbuf_reserve(&denials, sizeof(struct bw_event), 0);
}

// Null if there is no room. A denial has no number of its own then; what was allowed leaves a gap.
static __always_inline struct bw_event* new_event(enum bw_hook hook, bool is_denial) {
  struct bw_event* event = reserve_event(is_denial);
  if (!event && is_denial) return 0;
  const __u64 number = next_sequence();
  if (!event) return 0;
  start_event(event, hook);
  event->sequence = number;
  return event;
}

// ---- Sums ---------------------------------------------------------------------------------------

// What is known of a denial beside its decision.
enum {
  SUM_DRAFT = 1,   // its record: note->draft
  SUM_NAME = 2,    // the program's name: note->later.name
  SUM_EXE = 4,     // who: note->later.exe
  SUM_ERROR = 16,  // from this bit on: the errno that the caller gets
};

static __always_inline void name_summed(char* name, const struct task_note* note, __u64 aux,
                                        __u32 known) {
  if (aux)
    bpf_probe_read_kernel(name, BW_PROG_NAME_SIZE, ((struct bpf_prog_aux*)aux)->name);
  else if (note && (known & SUM_NAME))
    __builtin_memcpy(name, note->later.name, BW_PROG_NAME_SIZE);
}

static __always_inline void add_to_rest(const struct bw_decision* decision) {
  const __u32 slot = decision->cause * 2 + (bw_refused(decision) ? 1 : 0);
  __u64* rest = bpf_map_lookup_elem(&summed_rest, &slot);
  if (rest) add_one(rest);
}

static __always_inline void describe_first(struct bw_event* event, const struct task_note* note,
                                           const struct bw_summary_key* key,
                                           const struct bw_decision* decision, __u32 known) {
  event->hook = key->hook;
  event->count = 1;
  event->time_ns = bpf_ktime_get_boot_ns();
  if (note && (known & SUM_DRAFT)) describe_program(event, &note->draft);
  event->generation = key->generation;
  event->allow = 0;
  event->refused = bw_refused(decision) || key->hook == BW_HOOK_OBSERVED;
  event->mode = decision->mode;
  event->rule = decision->rule;
  event->cause = decision->cause;
  describe_policy(event, image_of(key->generation));
  describe_caller(event);
  if (note && note->paths.joined.known && !event->cgroup[0])
    __builtin_memcpy(event->cgroup, note->paths.joined.bytes, BW_NAME_SIZE);
  __builtin_memcpy(event->program_name, key->program_name, BW_PROG_NAME_SIZE);
  if (note && (known & SUM_EXE)) __builtin_memcpy(event->exe, note->later.exe, BW_NAME_SIZE);
}

// Finds its sum, or begins it: then `*is_first`.
static __always_inline struct bw_summary* summary_of(const struct bw_summary_key* key,
                                                     bool* is_first) {
  static const struct bw_summary none = {};
  struct bw_summary* sum = bpf_map_lookup_elem(&summaries, key);
  if (sum) return sum;
  *is_first = !bpf_map_update_elem(&summaries, key, &none, BPF_NOEXIST);
  return bpf_map_lookup_elem(&summaries, key);
}

// A denial that gets no event. `word`: its struct bw_decision. `aux`: see aux_of().
// A global function, which the verifier walks through once.
__noinline int add_to_sum(__u32 hook, __u64 generation, __u64 word, __u64 aux, __u32 known) {
  struct task_note* note = task_note(0);
  const struct bw_decision decision = decision_of(word);
  struct bw_summary_key key = {.generation = generation, .hook = hook};
  bool is_first = false;
  key.rule = decision.rule;
  key.cause = decision.cause;
  key.mode = decision.mode;
  key.tgid = bpf_get_current_pid_tgid() >> 32;
  key.uid = (__u32)bpf_get_current_uid_gid();
  name_summed(key.program_name, note, aux, known);
  if (note && (known & SUM_DRAFT)) {
    key.prog_type = note->draft.facts.prog_type;
    key.attach_type = note->draft.facts.attach_type;
    key.route = note->draft.route;
  }
  count_summed();
  struct bw_summary* sum = summary_of(&key, &is_first);
  if (!sum) {
    add_to_rest(&decision);
    return 0;
  }
  add_one(&sum->count);
  sum->last_ns = bpf_ktime_get_boot_ns();
  if (!is_first) return 0;
  describe_first(&sum->first, note, &key, &decision, known);
  sum->first.error = known >> SUM_ERROR;
  if (note && note->paths.found.known)
    __builtin_memcpy(sum->first.exe, note->paths.found.bytes, BW_NAME_SIZE);
  barrier();
  *(volatile __u32*)&sum->first.abi = BW_EVENT_ABI;
  return 0;
}

// The address of its bpf_prog_aux; 0: none. Read, so that it is no pointer that the verifier knows:
// global functions are handed addresses.
static __always_inline __u64 aux_of(struct bpf_prog* prog) {
  return prog ? (__u64)BPF_CORE_READ(prog, aux) : 0;
}

// The paths of executable and cgroup are read here, not one call deeper: there is room for no more
// on the stack, and before Linux 7.2 the verifier takes no more than eight calls. The cgroup's
// last: it stays in note->paths.joined, through which both are made.
static __always_inline void sum_up(__u32 hook, __u64 generation, __u64 word, __u64 aux,
                                   __u32 known) {
  struct task_note* note = task_note(0);
  if (note) {
    name_exe(note, 1);
    read_cgroup_of_task(note);
  }
  add_to_sum(hook, generation, word, aux, known);
}

// ---- Begin and end ------------------------------------------------------------------------------

// The event of a decision, to be filled in and ended by end_event(). `aux`: see aux_of(). `known`:
// SUM_*, what else is known of a denial. Null if there is no room: then all is done already, a
// denial is summed up, and what was allowed counts as dropped. `decision` may be null: of an event
// that is about no decision of its own.
static __always_inline struct bw_event* begin_event(enum bw_hook hook, __u64 generation,
                                                    const struct bw_decision* decision, __u64 aux,
                                                    __u32 known) {
  const bool is_denial = decision && !decision->allow;
  struct bw_event* event = new_event(hook, is_denial);
  if (event) return event;
  if (is_denial)
    sum_up(hook, generation, word_of(decision), aux, known);
  else
    count_dropped();
  return 0;
}

static __always_inline void end_event(struct bw_event* event) { bpf_ringbuf_submit(event, 0); }
