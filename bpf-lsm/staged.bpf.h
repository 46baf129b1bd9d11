// The staged policy: asked about every load beside the active one. It decides nothing; where it
// would have decided otherwise, an event says so.
#pragma once

#include "bpf-lsm/events/report.bpf.h"
#include "bpf-lsm/facts.bpf.h"
#include "bpf-lsm/judge.bpf.h"

static __always_inline __u32 wanted_facts(const struct bw_image* image) {
  const struct bw_image* staged = staged_image();
  return image->flags | (staged ? staged->flags : 0);
}

// The slot of the staged image for who signed: the key itself where this very load has shown it.
static __always_inline __u32 staged_signer(const struct bw_image* staged,
                                           const struct bw_program* record, struct task_note* note,
                                           __s32 keyring_id) {
  if (record->flags & BW_PROGRAM_SIGNED) return find_signer(staged, keyring_id);
  if (record->facts.origin != BW_ORIGIN_LOADER) return BW_SIGNER_UNKNOWN;
  if (note->run.staged_generation == staged->generation) return note->run.staged_signer;
  return bw_signer_by_digest(staged, note->run.signer_key);
}

// What the event of the active decision becomes.
static __always_inline void describe_difference(struct bw_event* event,
                                                const struct bw_image* staged,
                                                const struct task_note* note) {
  const struct bw_decision* would = &note->second.decision;
  event->active_allow = event->allow;
  event->active_rule = event->rule;
  event->generation = staged->generation;
  event->signer = note->second.facts.signer;
  event->allow = would->allow;
  event->mode = would->mode;
  event->rule = would->rule;
  event->cause = would->cause;
}

// Of note->draft. A global function, which the verifier walks through once. `aux`: see aux_of().
__noinline int tell_difference(__u64 staged_generation, __u64 aux, __u32 was_refused) {
  struct task_note* note = task_note(0);
  const struct bw_image* staged = image_of(staged_generation);
  if (!note || !staged) {
    count_dropped();
    return 0;
  }
  struct bw_event* event = begin_event(BW_HOOK_STAGED, staged_generation, 0, 0, 0);
  if (!event) return 0;
  describe_load(event, note, &note->draft, staged, aux);
  describe_difference(event, staged, note);
  event->active_refused = was_refused;
  end_event(event);
  return 0;
}

static __always_inline void report_difference(const struct bw_program* record,
                                              const struct bw_image* staged,
                                              struct bpf_prog* prog) {
  tell_difference(staged->generation, aux_of(prog), bw_refused(&record->decision));
}

// Whether the staged policy decides likewise.
static __always_inline bool judge_staged(const struct bw_program* record,
                                         const struct bw_image* staged, struct task_note* note) {
  const struct bw_decision *is = &record->decision, *would = &note->second.decision;
  note->second.facts = record->facts;
  note->second.facts.signer = record->staged_signer;
  note->second.decision = judge(staged, &note->second.facts);
  return is->allow == would->allow && bw_refused(is) == bw_refused(would);
}

static __always_inline void compare(const struct bw_program* record, const struct bw_image* staged,
                                    struct task_note* note, struct bpf_prog* prog) {
  const bool agrees = judge_staged(record, staged, note);
  count_staged(staged->generation, agrees);
  if (!agrees) report_difference(record, staged, prog);
}

// At lsm/bpf_prog_load, after the decision. What the staged policy cannot judge without the digest
// waits for lsm/bpf_prog, unless it never gets there.
static __always_inline void compare_load(struct bw_program* record, struct task_note* note,
                                         struct bpf_prog* prog, __s32 keyring_id) {
  const struct bw_image* staged = staged_image();
  if (!staged) return;
  record->staged_generation = staged->generation;
  record->staged_signer = staged_signer(staged, record, note, keyring_id);
  if ((staged->flags & BW_IMAGE_DIGEST) && !record->facts.names[BW_NAME_DIGEST].known &&
      !bw_refused(&record->decision))
    record->flags |= BW_PROGRAM_UNCOMPARED;
  else
    compare(record, staged, note, prog);
}

// At lsm/bpf_prog, whose digest is known.
static __always_inline void compare_settled(const struct bw_program* look, struct task_note* note,
                                            struct bpf_prog* prog) {
  const struct bw_image* staged = staged_image();
  if (!(look->flags & BW_PROGRAM_UNCOMPARED) || !staged) return;
  if (look->staged_generation == staged->generation) compare(look, staged, note, prog);
}
