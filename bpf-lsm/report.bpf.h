// Each decision becomes an event record and a count. Nothing here can change or delay a decision: a
// record that finds no room is counted as dropped.
#pragma once

#include "bpf-lsm/subject.bpf.h"
#include "bpf-lsm/tally.bpf.h"

#define EPERM 1
#define ENOKEY 126

static __always_inline void add_one(__u64* counter) { __sync_fetch_and_add(counter, 1); }

// A rule with `log = false` leaves no event of what it admits.
static __always_inline bool is_quiet(const struct bw_image* image,
                                     const struct bw_decision* decision) {
  return image && decision->allow && decision->rule < BW_MAX_RULES &&
         bw_test_bit(&image->quiet, decision->rule);
}

// Counts within windows of time: `word` holds the number of the latest window in its upper half,
// how many fell into it in its lower. Returns the number that fell into it before. Never waits: if
// another CPU begins the window first, its beginning serves as well.
static __always_inline __u32 count_in_window(__u64* word, __u32 window) {
  const __u64 seen = *(volatile __u64*)word;
  if ((__u32)(seen >> 32) < window) __sync_val_compare_and_swap(word, seen, (__u64)window << 32);
  return (__u32)__sync_fetch_and_add(word, 1);
}

// What was allowed leaves an event only as far as the policy wants it; a denial always does,
// refused or not.
static __always_inline bool is_withheld(const struct bw_image* image,
                                        const struct bw_decision* decision) {
  if (!image || !decision->allow || image->log_allowed == BW_LOG_ALL) return false;
  __u64* word = bpf_map_lookup_elem(&allowed_second, ARRAY_ZERO);
  if (!word || !image->log_allowed) return true;
  return count_in_window(word, bpf_ktime_get_boot_ns() / 1000000000) >= image->log_allowed;
}

// For what people ask about the last hour, with no process of ours to remember it.
static __always_inline void count_minute(const struct bw_decision* decision, bool observed) {
  const __u32 minute = bpf_ktime_get_boot_ns() / 60000000000ULL, slot = minute % BW_MINUTES;
  struct bw_minute* of = bpf_map_lookup_elem(&minutes, &slot);
  if (!of) return;
  if (observed)
    count_in_window(&of->observed, minute);
  else if (bw_refused(decision))
    count_in_window(&of->refused, minute);
  else
    count_in_window(&of->would_deny, minute);
}

// Atomic although per CPU: another task may interrupt this one in the middle of an addition.
static __always_inline void count(const struct bw_decision* decision, bool observed, bool dropped) {
  struct bw_counters* now = bpf_map_lookup_elem(&counters, ARRAY_ZERO);
  if (!now) return;
  add_one(observed ? &now->observed : &now->decided);
  if (!observed && bw_refused(decision)) add_one(&now->refused);
  if (!observed && !decision->allow && decision->mode == BW_MODE_AUDIT) add_one(&now->would_deny);
  if (observed || !decision->allow) count_minute(decision, observed);
  if (dropped) add_one(&now->dropped);
}

static __always_inline void count_quiet(void) {
  struct bw_counters* now = bpf_map_lookup_elem(&counters, ARRAY_ZERO);
  if (now) add_one(&now->quiet);
}

static __always_inline void count_withheld(void) {
  struct bw_counters* now = bpf_map_lookup_elem(&counters, ARRAY_ZERO);
  if (now) add_one(&now->withheld);
}

static __always_inline void count_dropped(void) {
  struct bw_counters* now = bpf_map_lookup_elem(&counters, ARRAY_ZERO);
  if (now) add_one(&now->dropped);
}

// Begins anew with each staged generation.
static __always_inline void count_staged(__u64 generation, bool agrees) {
  struct bw_counters* now = bpf_map_lookup_elem(&counters, ARRAY_ZERO);
  if (!now) return;
  if (now->staged != generation) {
    now->agreed = now->differed = 0;
    now->staged = generation;
  }
  add_one(agrees ? &now->agreed : &now->differed);
}

static __always_inline __u64 next_sequence(void) {
  __u64* last = bpf_map_lookup_elem(&sequence, ARRAY_ZERO);
  return last ? __sync_fetch_and_add(last, 1) + 1 : 0;
}

static __always_inline void describe_cgroup(struct bw_event* event) {
  struct task_note* note = task_note(BPF_LOCAL_STORAGE_GET_F_CREATE);
  if (!note || event->cgroup[0]) return;
  __builtin_memset(&note->cgroup, 0, sizeof(note->cgroup));
  read_cgroup(note, &note->cgroup);
  if (note->cgroup.known) __builtin_memcpy(event->cgroup, note->cgroup.bytes, BW_NAME_SIZE);
}

static __always_inline void describe_task(struct bw_event* event) {
  __u64 ids = bpf_get_current_pid_tgid();
  event->tgid = ids >> 32;
  event->pid = (__u32)ids;
  event->uid = (__u32)bpf_get_current_uid_gid();
  event->cgroup_id = bpf_get_current_cgroup_id();
  bpf_get_current_comm(event->comm, sizeof(event->comm));
  describe_cgroup(event);
}

static __always_inline void describe_policy(struct bw_event* event, const struct bw_image* image) {
  if (!image) return;
  event->policy_version = image->policy_version;
  __builtin_memcpy(event->policy_digest, image->policy_digest, sizeof(event->policy_digest));
}

static __always_inline void describe_program(struct bw_event* event,
                                             const struct bw_program* record) {
  event->generation = record->generation;
  event->allow = record->decision.allow;
  event->mode = record->decision.mode;
  event->rule = record->decision.rule;
  event->cause = record->decision.cause;
  event->origin = record->facts.origin;
  event->signature = record->facts.signature;
  event->signer = record->facts.signer;
  event->key_serial = record->key_serial;
  event->prog_type = record->facts.prog_type;
  event->attach_type = record->facts.attach_type;
  event->program_id = record->program_id;
  event->loader_id = record->loader_id;
  __builtin_memcpy(event->digest, record->facts.names[BW_NAME_DIGEST].bytes, BW_DIGEST_SIZE);
  __builtin_memcpy(event->loader_digest, record->loader_digest, sizeof(event->loader_digest));
  __builtin_memcpy(event->attach_name, record->facts.names[BW_NAME_TARGET].words, BW_NAME_SIZE);
  __builtin_memcpy(event->cgroup, record->facts.names[BW_NAME_CGROUP].bytes, BW_NAME_SIZE);
  __builtin_memcpy(event->place, record->facts.names[BW_NAME_PLACE].words, BW_NAME_SIZE);
  event->route = record->route;
  event->family = record->family;
  for (__u32 i = 0; i < BW_TRAITS; i++) event->traits |= (record->facts.traits[i] & 1) << i;
  event->wall_time = record->facts.time;
}

static __always_inline void start_event(struct bw_event* event, enum bw_hook hook, __u64 number) {
  __builtin_memset(event, 0, sizeof(*event));
  event->abi = BW_EVENT_ABI;
  event->hook = hook;
  event->sequence = number;
  event->time_ns = bpf_ktime_get_boot_ns();
}

static __always_inline void describe_load(struct bw_event* event, const struct bw_program* record,
                                          const struct bw_image* image, struct bpf_prog* prog) {
  describe_program(event, record);
  describe_policy(event, image);
  describe_task(event);
  read_exe(task_note(BPF_LOCAL_STORAGE_GET_F_CREATE), event->exe);
  if (!prog) return;
  const struct bpf_prog_aux* aux = BPF_CORE_READ(prog, aux);
  bpf_probe_read_kernel(event->program_name, BW_PROG_NAME_SIZE, aux->name);
}

// Whether the policy wants no event of it. Counted then.
static __always_inline bool is_silent(const struct bw_image* image,
                                      const struct bw_decision* decision) {
  const bool quiet = is_quiet(image, decision);
  if (!quiet && !is_withheld(image, decision)) return false;
  count(decision, false, false);
  if (quiet)
    count_quiet();
  else
    count_withheld();
  return true;
}

// Reports a decision, counts it, and returns what the hook must return. Never waits for a reader.
static __always_inline int conclude(enum bw_hook hook, const struct bw_program* record,
                                    const struct bw_image* image, struct bpf_prog* prog) {
  const bool refused = bw_refused(&record->decision);
  tally(record);
  if (is_silent(image, &record->decision)) return 0;
  struct bw_event* event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
  const __u64 number = next_sequence();
  count(&record->decision, false, !event);
  if (event) {
    start_event(event, hook, number);
    event->refused = refused;
    event->error = refused ? EPERM : 0;
    describe_load(event, record, image, prog);
    bpf_ringbuf_submit(event, 0);
  }
  return refused ? -EPERM : 0;
}

// ---- Postponed ----------------------------------------------------------------------------------
// The digest of most programs is known only once the verifier is done with them. So the event of a
// load that goes through waits for it: until lsm/bpf_prog, or to the end of the call, where the
// verifier says no. It is counted meanwhile, so that none is missing unnoticed.

static __always_inline void count_postponed(__u64 more) {
  struct bw_counters* now = bpf_map_lookup_elem(&counters, ARRAY_ZERO);
  if (now) __sync_fetch_and_add(&now->postponed, more);
}

static __always_inline bool waits_for_digest(const struct bw_program* record,
                                             const struct bw_image* image) {
  return !record->facts.names[BW_NAME_DIGEST].known && !bw_refused(&record->decision) &&
         !is_quiet(image, &record->decision);
}

// In the place of conclude(), for the load in note->draft.
static __always_inline int postpone(struct task_note* note, const struct bw_image* image,
                                    struct bpf_prog* prog) {
  tally(&note->draft);
  count(&note->draft.decision, false, false);
  if (is_withheld(image, &note->draft.decision)) {
    count_withheld();
    return 0;
  }
  count_postponed(1);
  bpf_probe_read_kernel(note->postponed_name, BW_PROG_NAME_SIZE, prog->aux->name);
  read_exe(note, note->exe);
  note->postponed_aux = (__u64)prog->aux;
  return 0;
}

// `record` is the load's, with or without its digest.
static __noinline int tell_postponed(struct task_note* note, const struct bw_program* record) {
  if (!note || !record || !note->postponed_aux) return 0;
  struct bw_event* event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
  const __u64 number = next_sequence();
  note->postponed_aux = 0;
  count_postponed(-1ULL);
  if (!event) {
    count_dropped();
    return 0;
  }
  start_event(event, BW_HOOK_PROG_LOAD, number);
  describe_program(event, record);
  describe_policy(event, image_of(record->generation));
  describe_task(event);
  __builtin_memcpy(event->program_name, note->postponed_name, BW_PROG_NAME_SIZE);
  __builtin_memcpy(event->exe, note->exe, BW_EXE_SIZE);
  bpf_ringbuf_submit(event, 0);
  return 0;
}
