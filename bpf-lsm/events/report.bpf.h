// Each decision becomes an event record and a count. Nothing here can change or delay a decision: a
// record of what was allowed that finds no room is counted as dropped, a denial is summed up.
#pragma once

#include "bpf-lsm/answer.bpf.h"
#include "bpf-lsm/events/denials.bpf.h"
#include "bpf-lsm/events/tally.bpf.h"
#include "bpf-lsm/verify/pkcs7.bpf.h"

// Whether the policy wants no event of it. Counted then.
static __always_inline bool is_silent(const struct bw_image* image,
                                      const struct bw_decision* decision) {
  const bool quiet = is_quiet(image, decision);
  if (!quiet && !is_withheld(image, decision)) return false;
  count(decision, false);
  if (quiet)
    count_quiet();
  else
    count_withheld();
  return true;
}

// What the caller gets.
static __always_inline __u32 errno_of(const struct task_note* note,
                                      const struct bw_program* record) {
  if (record->decision.cause == BW_CAUSE_SIGNER_UNSEEN) return EAGAIN;
  if (!verifies_here() || !note) return EPERM;
  return record->decision.cause == BW_CAUSE_SIGNATURE_REJECTED ? note->signature.error : EPERM;
}

// Reports a decision, counts it, and returns whether it refuses. Never waits for a reader. `aux`:
// see aux_of(). `told_mode`: the mode that the event tells. Where there is an image, the record is
// that of the task's note.
static __always_inline int report(enum bw_hook hook, struct task_note* note,
                                  const struct bw_program* record, const struct bw_image* image,
                                  __u64 aux, __u32 told_mode) {
  const bool refused = bw_refused(&record->decision);
  if (is_asleep()) return 0;
  tally(note, record);
  if (is_silent(image, &record->decision)) return 0;
  count(&record->decision, false);
  const __u32 error = refused ? errno_of(note, record) : 0;
  const __u32 known = (image ? SUM_DRAFT : 0) | error << SUM_ERROR;
  struct bw_event* event = begin_event(hook, record->generation, &record->decision, aux, known);
  if (!event) return refused;
  event->refused = refused;
  event->error = (__s32)error;
  describe_load(event, note, record, image, aux);
  event->mode = told_mode;
  end_event(event);
  return refused;
}

// Of note->draft. A global function, which the verifier walks through once.
__noinline int report_draft(struct task_note* note, __u32 hook, __u64 generation, __u64 aux,
                            __u32 told_mode) {
  if (!note) return 1;
  return report(hook, note, &note->draft, image_of(generation), aux, told_mode);
}

// Reports the decision in note->draft, which is the record, and returns what the hook must return.
static __always_inline int conclude_in(struct task_note* note, enum bw_hook hook,
                                       const struct bw_program* record,
                                       const struct bw_image* image, struct bpf_prog* prog) {
  return error_of(report_draft(note, hook, image->generation, aux_of(prog), record->decision.mode));
}

// Likewise where the note is not at hand.
static __always_inline int conclude(enum bw_hook hook, const struct bw_program* record,
                                    const struct bw_image* image, struct bpf_prog* prog) {
  return conclude_in(task_note(0), hook, record, image, prog);
}

// ---- Postponed ----------------------------------------------------------------------------------
// Only once the verifier is done with it has a program its number, and most of them their digest.
// So the event of a load that is let through waits for both: until lsm/bpf_prog, or to the end of
// the call, where the verifier says no. It is counted meanwhile, so that none is missing unnoticed.

static __always_inline void count_postponed(__u64 more) {
  struct bw_counters* now = bpf_map_lookup_elem(&counters, ARRAY_ZERO);
  if (now) __sync_fetch_and_add(&now->postponed, more);
}

static __always_inline bool waits_for_verifier(const struct bw_program* record,
                                               const struct bw_image* image) {
  if (record->decision.cause == BW_CAUSE_TABLE_FULL) return false;  // lsm/bpf_prog finds no record
  if (is_asleep()) return false;
  return !bw_refused(&record->decision) && !is_quiet(image, &record->decision);
}

// In the place of conclude(), for the load in note->draft.
static __always_inline int postpone(struct task_note* note, const struct bw_image* image,
                                    struct bpf_prog* prog) {
  tally(note, &note->draft);
  count(&note->draft.decision, false);
  if (is_withheld(image, &note->draft.decision)) {
    count_withheld();
    return 0;
  }
  count_postponed(1);
  bpf_probe_read_kernel(note->later.name, BW_PROG_NAME_SIZE, prog->aux->name);
  read_exe(note, note->later.exe);
  note->later.aux = (__u64)prog->aux;
  return 0;
}

// `record` is the load's, with or without its digest. A global function, as report_draft() is.
__noinline int tell_postponed_as(const struct bw_program* record) {
  struct task_note* note = task_note(0);
  if (!note || !record) return 0;
  note->later.aux = 0;
  count_postponed(-1ULL);
  struct bw_event* event = begin_event(BW_HOOK_PROG_LOAD, record->generation, &record->decision, 0,
                                       SUM_DRAFT | SUM_NAME | SUM_EXE);
  if (!event) return 0;
  describe_program(event, record);
  describe_policy(event, image_of(record->generation));
  describe_task(event, note);
  __builtin_memcpy(event->program_name, note->later.name, BW_PROG_NAME_SIZE);
  __builtin_memcpy(event->exe, note->later.exe, BW_NAME_SIZE);
  end_event(event);
  return 0;
}

static __always_inline void tell_postponed(const struct task_note* note,
                                           const struct bw_program* record) {
  if (note && note->later.aux) tell_postponed_as(record);
}
