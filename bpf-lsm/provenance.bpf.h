// What the warden knows of a program, and refusals that need no rule.
#pragma once

#include "bpf-lsm/events/report.bpf.h"
#include "bpf-lsm/facts.bpf.h"
#include "bpf-lsm/judge.bpf.h"
#include "bpf-lsm/staged.bpf.h"

static __always_inline struct bw_program* new_draft(struct task_note* note) {
  if (!note) return 0;
  // name_decision() clears the names; a single memset may clear no more than 1 KiB.
  __builtin_memset(&note->draft, 0, __builtin_offsetof(struct bw_program, signer_key));
  note->draft.staged_generation = 0;
  note->draft.staged_signer = BW_SIGNER_UNKNOWN;
  note->draft.raced = 0;
  return &note->draft;
}

// No image, or no memory to work in. A global function, as judge_by() is. It reports by itself:
// with report_draft() between, Linux 6.18 finds the calls too deep.
__noinline int conclude_blind(__u32 hook) {
  static const struct bw_program blind = {.decision = {
                                              .mode = BW_MODE_ENFORCE,
                                              .cause = BW_CAUSE_MISSING_FACT,
                                              .rule = BW_NO_RULE,
                                          }};
  struct task_note* note = task_note(BPF_LOCAL_STORAGE_GET_F_CREATE);
  return report(hook, note, &blind, 0, 0, BW_MODE_ENFORCE);
}

static __always_inline int refuse_blind(enum bw_hook hook) {
  return error_of(conclude_blind(hook));
}

// A denial that no rule makes.
static __always_inline void deny_now(const struct bw_image* image, enum bw_cause cause,
                                     struct bw_program* record) {
  record->facts.guard = cause;
  record->facts.time = bpf_ktime_get_tai_ns() / 1000000000;
  record->decision = bw_denial(image, record->facts.time, cause);
}

static __always_inline int refuse_by(const struct bw_image* image, enum bw_cause cause,
                                     enum bw_hook hook, struct bw_program* record,
                                     struct bpf_prog* prog) {
  deny_now(image, cause, record);
  return conclude(hook, record, image, prog);
}

// By the policy in force.
static __always_inline int refuse_for(enum bw_cause cause, enum bw_hook hook,
                                      struct bw_program* record, struct bpf_prog* prog) {
  const struct bw_image* image = active_image(&record->generation);
  if (!image) return refuse_blind(hook);
  return refuse_by(image, cause, hook, record, prog);
}

// Into a copy of the caller's own: several tasks may look at one record, and one of them change it.
// In two halves, for one copy may be of no more than 1 KiB.
static __always_inline void copy_record(struct bw_program* to, const struct bw_program* from) {
  const __u32 half = __builtin_offsetof(struct bw_program, decision);
  __builtin_memcpy(to, from, half);
  __builtin_memcpy(&to->decision, &from->decision, sizeof(*from) - half);
}

// Of which program a refusal tells, where no load has said so. The kernel's fields are read, so
// that a pointer does which the verifier knows nothing of.
static __always_inline void describe_unknown(struct bw_program* record, struct bpf_prog* prog) {
  record->facts.prog_type = BPF_CORE_READ(prog, type);
  record->facts.attach_type = BPF_CORE_READ(prog, expected_attach_type);
  record->program_id = BPF_CORE_READ(prog, aux, id);
}

static __noinline int is_own_program(__u32 id) { return own_object(BW_OWN_PROGRAM, id) != 0; }

// Whether it was there before the warden; or is of the warden's own, which may have taken over from
// another one.
static __always_inline bool is_resident(struct bpf_prog* prog) {
  const struct bw_control* word = bpf_map_lookup_elem(&control, ARRAY_ZERO);
  if (!word) return false;
  if (!word->attached_ns || BPF_CORE_READ(prog, aux, load_time) <= word->attached_ns) return true;
  return is_own_program(BPF_CORE_READ(prog, aux, id));
}

BW_STATIC_ASSERT(__builtin_offsetof(struct bw_image, rules) % 8 == 0, "rules are copied by words");

// What outlives the generation that decided.
static __always_inline void name_decision(struct bw_program* record, const struct bw_image* image) {
  const __u32 slot = record->facts.signer;
  __u32 rule = record->decision.rule;
  barrier_var(rule);  // or clang checks one copy of it and uses another
  __builtin_memset(record->signer_key, 0, sizeof(record->signer_key));
  __builtin_memset(record->signer_name, 0, sizeof(record->signer_name));
  if (rule < BW_MAX_RULES)
    __builtin_memcpy(&record->rule, __builtin_assume_aligned(&image->rules[rule], 8),
                     sizeof(record->rule));
  else
    __builtin_memset(&record->rule, 0, sizeof(record->rule));
  if (slot == BW_SIGNER_UNKNOWN || slot >= BW_MAX_SIGNERS) return;
  const struct bw_signer* signer = &image->signers[slot];
  __builtin_memcpy(record->signer_name, signer->name, sizeof(record->signer_name));
  if (signer->kind == BW_SIGNER_KEY && !signer->keyring)
    __builtin_memcpy(record->signer_key, signer->key_digest, sizeof(record->signer_key));
}

// A denial that no rule makes, in that mode whatever the policy's is, and in the words of an event.
static __always_inline void draft_denial(struct bw_program* record, const struct bw_image* image,
                                         enum bw_cause cause, __u32 mode) {
  record->policy_version = image->policy_version;
  deny_now(image, cause, record);
  record->decision.mode = (__u8)mode;
  name_decision(record, image);
}

// To be decided again by the image of that generation.
static __always_inline void move_to(struct bw_program* record, const struct bw_image* image,
                                    __u64 generation) {
  if (record->generation != generation)
    record->facts.signer = bw_signer_by_digest(image, record->signer_key);
  record->generation = generation;
  record->policy_version = image->policy_version;
}
