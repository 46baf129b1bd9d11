// lsm/bpf_prog, once the verifier is done (docs/adr/0011).
//
// A program's id is public before that hook is asked for the task that loads it, so the hook may
// see a program several times, from anyone and in any order, until that task's own look. Each look
// decides by itself, on a copy of the record, which says what was known at the load and keeps
// saying so. Only the loading task's look confirms the program; any may refuse it, for good.
#pragma once

#include "bpf-lsm/loader_maps.bpf.h"
#include "bpf-lsm/provenance.bpf.h"
#include "bpf-lsm/verify/signed_maps.bpf.h"

// The attach target that the verifier resolved must be the one that was decided upon.
static __always_inline bool target_kept(const struct bw_program* look, struct bpf_prog* prog) {
  const struct bw_facts* facts = &look->facts;
  const struct bw_name* then = &facts->names[BW_NAME_TARGET];
  struct task_note* note = task_note(0);
  if (!then->known || (look->flags & BW_PROGRAM_NO_TARGET)) return true;
  if (facts->prog_type == BPF_PROG_TYPE_STRUCT_OPS) return true;
  if (!note) return false;
  struct bw_name* now = &note->paths.found;
  struct bpf_prog_aux* aux = prog->aux;
  const char* owner =
      owner_of_target(aux, facts->prog_type, facts->attach_type, aux->attach_btf_id);
  forget(now);
  if (!read_target((char*)now->bytes, aux->attach_func_name, facts->prog_type, facts->attach_type,
                   owner))
    return false;
  for (__u32 i = 0; i < BW_NAME_WORDS; i++)
    if (now->words[i] != then->words[i]) return false;
  return true;
}

// Before 7.3 the digest is not yet known when a signed program is decided upon: there, only the
// guard on unsigned parts keeps the instructions as they were signed.
static __always_inline bool digest_kept(const struct bw_program* look, struct bpf_prog* prog) {
  const struct bw_name* then = &look->facts.names[BW_NAME_DIGEST];
  __u64 now[BW_DIGEST_SIZE / 8] = {};
  if (!BW_KERNEL_HAS(program_digest) || (look->flags & BW_PROGRAM_NO_DIGEST)) return true;
  if (bpf_probe_read_kernel(now, sizeof(now), prog->digest)) return false;
  for (__u32 i = 0; i < BW_DIGEST_SIZE / 8; i++)
    if (now[i] != then->words[i]) return false;
  return true;
}

// A program that the warden has no record of: resident from before, or one that went around it.
static __always_inline int judge_stranger(struct bpf_prog* prog) {
  if (is_resident(prog)) return 0;
  struct bw_program* record = new_draft(task_note(BPF_LOCAL_STORAGE_GET_F_CREATE));
  if (!record) return refuse_blind(BW_HOOK_PROG);
  describe_unknown(record, prog);
  return refuse_for(BW_CAUSE_NO_PROVENANCE, BW_HOOK_PROG, record, prog);
}

// Of a program that would use a map which another one's signature covers.
static __noinline int refuse_foreign_map(struct bpf_prog* prog) {
  struct bw_program* record = new_draft(task_note(BPF_LOCAL_STORAGE_GET_F_CREATE));
  if (!record) return refuse_blind(BW_HOOK_PROG);
  describe_unknown(record, prog);
  return refuse_for(BW_CAUSE_FOREIGN_MAP, BW_HOOK_PROG, record, prog);
}

// What denies the program whatever the rules say.
static __always_inline enum bw_cause what_changed(const struct bw_program* look,
                                                  struct bpf_prog* prog) {
  if (look->standing & BW_STANDING_REFUSED) return BW_CAUSE_REFUSED_BEFORE;
  if (!digest_kept(look, prog)) return BW_CAUSE_DIGEST_CHANGED;
  if (!look->own_maps) return BW_CAUSE_FOREIGN_MAP;
  return target_kept(look, prog) ? BW_CAUSE_RULE : BW_CAUSE_TARGET_CHANGED;
}

// What the load left open is known now; or it never will be, which denies.
static __always_inline void gather_rest(struct bw_program* look, struct bpf_prog* prog) {
  struct bw_name* target = &look->facts.names[BW_NAME_TARGET];
  const bool has_digest = gather_digest(&look->facts, prog);
  if (!has_digest && (look->flags & BW_PROGRAM_NO_DIGEST))
    look->facts.guard = BW_CAUSE_MISSING_FACT;
  if (!(look->flags & BW_PROGRAM_NO_TARGET)) return;
  look->facts.attach_type = prog->expected_attach_type;
  __builtin_memset(target, 0, sizeof(*target));
  gather_target(&look->facts, prog);
  if (!target->known) look->facts.guard = BW_CAUSE_MISSING_FACT;
}

// True if the answer is another one than at the load. It can only be where that left something open
// which either policy asks for: the one of the load, or the one in force now.
static __always_inline bool decides_anew(struct bw_program* look, struct bpf_prog* prog,
                                         const struct bw_image* image, __u64 generation) {
  const struct bw_decision before = look->decision, *now = &look->decision;
  const bool lacks_digest = look->flags & BW_PROGRAM_NO_DIGEST;
  const bool asks = (image->flags & BW_IMAGE_DIGEST) || (look->flags & BW_PROGRAM_OPEN);
  if (!(lacks_digest && asks) && !(look->flags & BW_PROGRAM_NO_TARGET)) {
    if (lacks_digest) gather_digest(&look->facts, prog);
    return false;
  }
  gather_rest(look, prog);
  move_to(look, image, generation);
  look->decision = judge(image, &look->facts);
  name_decision(look, image);
  return now->allow != before.allow || now->rule != before.rule || now->mode != before.mode ||
         now->cause != before.cause;
}

// What the record says to people, and to attachments, once the loading task has had its look. Its
// signer stays that of the generation which admitted the load.
static __always_inline void settle(struct bw_program* known, const struct bw_program* look) {
  known->program_id = look->program_id;
  known->facts.names[BW_NAME_DIGEST] = look->facts.names[BW_NAME_DIGEST];
  known->facts.names[BW_NAME_TARGET] = look->facts.names[BW_NAME_TARGET];
  known->facts.attach_type = look->facts.attach_type;
  known->decision = look->decision;
  known->policy_version = look->policy_version;
  __builtin_memcpy(&known->rule, &look->rule, sizeof(known->rule));
}

// Of the looks of other tasks only a refusal is told: the loading task's own tells the rest.
static __always_inline bool look_again(struct bw_program* look, struct bpf_prog* prog,
                                       const struct bw_image* image, __u64 generation) {
  const enum bw_cause change = what_changed(look, prog);
  if (change == BW_CAUSE_RULE) return decides_anew(look, prog, image, generation);
  deny_now(image, change, look);
  if (change == BW_CAUSE_REFUSED_BEFORE) look->decision.mode = BW_MODE_ENFORCE;
  return true;
}

static __always_inline bool keeps_signed(const struct bw_program* known, struct bpf_prog* prog) {
  const bool is_here =
      (known->flags & BW_PROGRAM_SIGNED) && (known->flags & BW_PROGRAM_VERIFIED_HERE);
  if (!verifies_here() || !is_here) return true;
  return uses_what_is_signed(prog, known->facts.signature == BW_SIGNATURE_PROG_USED_MAPS);
}

static __always_inline int look_at(struct bw_program* known, struct bpf_prog* prog,
                                   struct task_note* note) {
  struct bw_program* look = &note->draft;
  __u64 generation = 0;
  const struct bw_image* image = active_image(&generation);
  const bool loads = known->loading_task == (__u64)bpf_get_current_task_btf();
  if (!image) return refuse_blind(BW_HOOK_PROG);
  if (!loads) tell_postponed(note, look);
  if (!known->own_maps) known->own_maps = uses_own_maps(known, prog) && keeps_signed(known, prog);
  copy_record(look, known);
  look->program_id = prog->aux->id;
  const bool changed = look_again(look, prog, image, generation);
  const bool refused = bw_refused(&look->decision);
  if (refused)
    __sync_fetch_and_or(&known->standing, BW_STANDING_REFUSED);
  else if (loads)
    __sync_fetch_and_or(&known->standing, BW_STANDING_CONFIRMED);
  if (!loads) return refused ? conclude(BW_HOOK_PROG, look, image, prog) : 0;
  if (!refused) known->program_id = look->program_id;  // told of what goes through
  if (note->later.aux == (__u64)prog->aux) tell_postponed(note, changed ? known : look);
  const int error = changed ? conclude(BW_HOOK_PROG, look, image, prog) : 0;
  compare_settled(look, note, prog);
  settle(known, look);
  return error;
}
