// Judges a program where it is to become active, by the policy in force now and by what was noted
// of it when it was loaded.
#pragma once

#include "bpf-lsm/attach/attach_target.bpf.h"
#include "bpf-lsm/provenance.bpf.h"
#include "bpf-lsm/successor.bpf.h"
#include "bpf-lsm/system_call.bpf.h"

#define NO_DESCRIPTOR (~0U)

// A set of program types has a bit for each.
#define ONE_TYPE(type) (1ULL << (type))

static __always_inline bool is_of(struct bpf_prog* prog, __u64 types) {
  return (types >> (BPF_CORE_READ(prog, type) & 63)) & 1;
}

static __always_inline bool decides_at_attach(const struct bw_image* image) {
  return image && (image->flags & BW_IMAGE_ATTACH);
}

// Whether anything has to be looked at: by the policy in force, or by the staged one.
static __always_inline bool asks_at_attach(void) {
  __u64 generation = 0;
  return decides_at_attach(active_image(&generation)) || decides_at_attach(staged_image());
}

// Within a call that the note knows by its stamp.
static __always_inline struct task_note* begin_attachment(struct task_note* note,
                                                          enum bw_route route) {
  if (!note) return 0;
  tell_postponed(note, &note->draft);
  __builtin_memset(&note->attachment, 0, sizeof(note->attachment));
  note->attachment.route = route;
  note->attachment.watch.program_fd = NO_DESCRIPTOR;
  note->destinations.count = 0;
  return note;
}

static __always_inline struct task_note* new_attachment(enum bw_route route) {
  struct task_note* note = begin_attachment(task_note(BPF_LOCAL_STORAGE_GET_F_CREATE), route);
  if (note) note->call.stamp = call_stamp();
  return note;
}

// 1 + the family; 0: none that the policy language knows.
static __always_inline __u8 family_of(const struct bw_image* image, const struct bw_facts* facts,
                                      const struct attachment* at) {
  const __u32 kind = at->probe - 1U, prog_type = facts->prog_type & (BW_PROG_TYPES - 1);
  if (at->probe && kind < BW_PROBE_KINDS) return image->family_of_probe[kind][at->on_return & 1];
  const __u8 named = image->family_of[prog_type][at->attach_type & (BW_ATTACH_TYPES - 1)];
  return named ? named : image->family_of[prog_type][facts->attach_type & (BW_ATTACH_TYPES - 1)];
}

static __always_inline void set_facts(struct bw_program* record, const struct bw_image* image,
                                      const struct attachment* at) {
  struct bw_facts* facts = &record->facts;
  const __u32 load_class =
      bw_class_of(image, facts->prog_type, facts->attach_type) & (BW_LOAD_CLASSES - 1);
  record->route = at->route;
  record->family = family_of(image, facts, at);
  facts->stage = BW_STAGE_ATTACH;
  facts->time = bpf_ktime_get_tai_ns() / 1000000000;
  facts->family = record->family - 1;
  if (at->guard) facts->guard = at->guard;
  if (record->standing & BW_STANDING_REFUSED) facts->guard = BW_CAUSE_REFUSED_BEFORE;
  if (!record->family && !facts->guard) facts->guard = BW_CAUSE_UNKNOWN_ATTACH;
  if (at->retargeted || !(image->classes[load_class].flags & BW_CLASS_NAMED))
    facts->names[BW_NAME_TARGET] = at->target;
  facts->names[BW_NAME_PLACE] = at->place;
}

// Whatever else the file is called, no rule that refuses another name may stand before the one that
// allows this name. Judged as if the name were unknown, which meets just those rules.
static __always_inline void judge_as_alias(struct task_note* note, const struct bw_image* image,
                                           struct bw_program* record) {
  struct bw_decision* other = &note->second.decision;
  note->second.facts = record->facts;
  forget(&note->second.facts.names[BW_NAME_TARGET]);
  *other = judge(image, &note->second.facts);
  if (!record->decision.allow || other->allow || other->rule >= record->decision.rule) return;
  record->decision = *other;
}

// The program becomes active at no place in particular: by what it was loaded for.
static __always_inline void take_point_of_load(struct attachment* at, struct bpf_prog* prog) {
  if (is_of(prog, ONE_TYPE(BPF_PROG_TYPE_KPROBE))) at->probe = 1 + BW_PROBE_KPROBE;
  at->attach_type = BPF_CORE_READ(prog, expected_attach_type);
}

// As compare() at load. Of an attachment with many targets one difference is told.
static __always_inline void compare_attachment(struct bw_program* record, struct task_note* note,
                                               struct bpf_prog* prog) {
  const struct bw_image* staged = staged_image();
  struct attachment* at = &note->attachment;
  if (!decides_at_attach(staged) || at->compared || (record->flags & BW_PROGRAM_SUCCESSOR)) return;
  if (record->staged_generation != staged->generation)
    record->staged_signer = bw_signer_by_digest(staged, record->signer_key);
  record->staged_generation = staged->generation;
  const bool agrees = judge_staged(record, staged, note);
  if (agrees && at->more) return;
  at->compared = 1;
  count_staged(staged->generation, agrees);
  if (!agrees) report_difference(record, staged, prog);
}

// Of an attachment with many targets one event tells: of the first that is denied, or of the last.
static __always_inline int conclude_attachment(struct bw_program* record, struct task_note* note,
                                               const struct bw_image* image,
                                               struct bpf_prog* prog) {
  struct attachment* at = &note->attachment;
  if (at->more && record->decision.allow) return 0;
  if (at->told && !bw_refused(&record->decision)) return 0;
  at->told = 1;
  return conclude_in(note, BW_HOOK_ATTACH, record, image, prog);
}

// Resident programs stay as they are; one that went around the warden is refused.
static __always_inline int judge_unknown(struct task_note* note, struct bpf_prog* prog) {
  if (is_resident(prog)) {
    note->draft.decision.allow = 1;
    return 0;
  }
  struct bw_program* record = new_draft(note);
  if (!record) return refuse_blind(BW_HOOK_ATTACH);
  const struct bw_image* image = active_image(&record->generation);
  if (!image) return refuse_blind(BW_HOOK_ATTACH);
  describe_unknown(record, prog);
  record->route = note->attachment.route;
  deny_now(image, BW_CAUSE_NO_PROVENANCE, record);
  return conclude_attachment(record, note, image, prog);
}

// A task that shares its file descriptors could have another program judged than the one that is
// attached. `prog`, which may be null, is what it shows now. Since it may be any program, this
// is refused as soon as any rule is enforced. Where none is, an event has told enough.
__noinline int conclude_shared(__u64 address) {
  struct bpf_prog* prog = (struct bpf_prog*)address;
  struct task_note* note = task_note(0);
  struct bw_program* record = new_draft(note);
  if (!record) return refuse_blind(BW_HOOK_ATTACH);
  const struct bw_image* image = active_image(&record->generation);
  if (!image) return refuse_blind(BW_HOOK_ATTACH);
  if (!decides_at_attach(image)) return 0;
  note->attachment.watch.on = 0;
  if (prog) {
    describe_unknown(record, prog);
    set_facts(record, image, &note->attachment);
  }
  record->route = note->attachment.route;
  record->policy_version = image->policy_version;
  deny_now(image, BW_CAUSE_SHARED_FILES, record);
  return conclude_attachment(record, note, image, prog);
}

static __always_inline int refuse_shared(struct bpf_prog* prog) {
  return error_of(conclude_shared((__u64)prog));
}

// But for what is written anew wherever it becomes active: its place and the rule's name.
static __always_inline void copy_load(struct bw_program* to, const struct bw_program* from) {
  const __u32 place = __builtin_offsetof(struct bw_program, facts.names[BW_NAME_PLACE]);
  const __u32 exe = __builtin_offsetof(struct bw_program, facts.names[BW_NAME_EXE]);
  const __u32 rule = __builtin_offsetof(struct bw_program, rule);
  __builtin_memcpy(to, from, place);
  __builtin_memcpy(&to->facts.names[BW_NAME_EXE], &from->facts.names[BW_NAME_EXE], rule - exe);
  to->staged_generation = from->staged_generation;
  to->staged_signer = from->staged_signer;
  to->raced = from->raced;
}

// What was noted of the program at its load, into note->draft. False if nothing was.
static __always_inline bool recall(struct task_note* note, struct bpf_prog* prog) {
  __u64 key = (__u64)BPF_CORE_READ(prog, aux);
  note->draft.decision.allow = 0;
  const struct bw_program* known = bpf_map_lookup_elem(&programs, &key);
  if (!known) return false;
  copy_load(&note->draft, known);
  return true;
}

static __always_inline void judge_at(struct task_note* note, const struct bw_image* image,
                                     __u64 generation) {
  struct bw_program* record = &note->draft;
  set_facts(record, image, &note->attachment);
  if (!decides_at_attach(image)) return;
  if ((record->flags & BW_PROGRAM_SUCCESSOR) && is_successor()) {
    record->decision.allow = note->attachment.told = 1;
    return;
  }
  move_to(record, image, generation);
  record->decision = judge(image, &record->facts);
  if (note->attachment.is_alias) judge_as_alias(note, image, record);
  name_decision(record, image);
}

// The verdict about the program at note->attachment, and nothing else: none is told, nobody
// refused. Of what has no record, a resident is allowed. A global function; note->draft is what it
// works on.
__noinline __u64 weigh_attachment(__u64 address) {
  struct bpf_prog* prog = (struct bpf_prog*)address;
  struct task_note* note = task_note(0);
  struct bw_decision verdict = {
      .mode = BW_MODE_ENFORCE, .cause = BW_CAUSE_NO_PROVENANCE, .rule = BW_NO_RULE};
  __u64 generation = 0;
  const struct bw_image* image = active_image(&generation);
  if (!note || !image) return word_of(&verdict);
  if (recall(note, prog)) {
    judge_at(note, image, generation);
    return word_of(&note->draft.decision);
  }
  if (!bw_enforces_at(image, bpf_ktime_get_tai_ns() / 1000000000)) verdict.mode = BW_MODE_AUDIT;
  verdict.allow =
      (!note->attachment.watch.shared || (image->flags & BW_IMAGE_DETECT)) && is_resident(prog);
  return word_of(&verdict);
}

static __always_inline struct bw_decision weigh(struct bpf_prog* prog) {
  return decision_of(weigh_attachment((__u64)prog));
}

// Judges the program at note->attachment, whose `more` says that others of its targets follow.
// Returns -EPERM or 0. A global function, for which the verifier has no pointers: `address` is that
// of a struct bpf_prog.
__noinline int judge_attachment(struct task_note* note, __u64 address) {
  struct bpf_prog* prog = (struct bpf_prog*)address;
  __u64 generation = 0;
  if (!note) return refuse_blind(BW_HOOK_ATTACH);
  struct bw_program* record = &note->draft;
  const struct attachment* at = &note->attachment;
  const struct bw_image* image = active_image(&generation);
  const bool is_known = recall(note, prog);
  if (!is_known && at->watch.shared && !(image && (image->flags & BW_IMAGE_DETECT)))
    return refuse_shared(prog);
  if (!is_known) return judge_unknown(note, prog);
  if (!image) return refuse_blind(BW_HOOK_ATTACH);
  judge_at(note, image, generation);
  compare_attachment(record, note, prog);
  if (!decides_at_attach(image)) return 0;
  if (at->watch.shared && !bw_refused(&record->decision) && !bw_detects(image, &record->decision))
    return refuse_shared(prog);
  return conclude_attachment(record, note, image, prog);
}

static __always_inline int judge_program(struct task_note* note, struct bpf_prog* prog) {
  return error_of(judge_attachment(note, (__u64)prog));
}
