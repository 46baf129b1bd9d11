// The hooks that a load passes, from the call to the end of its program. All calls of bpf(2) begin
// here.
#pragma once

#include "bpf-lsm/attach/bpf_call.bpf.h"
#include "bpf-lsm/attach/link_taken.bpf.h"
#include "bpf-lsm/attach/probe_files.bpf.h"
#include "bpf-lsm/capable.bpf.h"
#include "bpf-lsm/loader_maps.bpf.h"
#include "bpf-lsm/look.bpf.h"
#include "bpf-lsm/seal/order.bpf.h"
#include "bpf-lsm/seal/own_objects.bpf.h"
#include "bpf-lsm/staged.bpf.h"
#include "bpf-lsm/successor.bpf.h"
#include "bpf-lsm/verify/load_signature.bpf.h"

// What a busy host calls most, and no decision is about.
static __always_inline bool is_map_access(int command) {
  return command == BPF_MAP_LOOKUP_ELEM || command == BPF_MAP_DELETE_ELEM ||
         command == BPF_MAP_GET_NEXT_KEY;
}

// Without room for a note, no evidence can be: such a load has an unknown signer.
static __always_inline void forget_last_call(int command, union bpf_attr* attr, bool kernel) {
  const bool is_load = command == BPF_PROG_LOAD;
  const bool is_signed =
      is_load && BW_KERNEL_HAS(signature_attr) && attr->signature && may_load(attr);
  struct task_note* note = task_note(is_signed ? BPF_LOCAL_STORAGE_GET_F_CREATE : 0);
  if (!note) return;
  tell_postponed(note, &note->draft);
  note->attachment.watch.on = 0;
  note->attachment.route = BW_ROUTE_NONE;
  note->call.command = (__u32)command;
  note->call.stamp = call_stamp();
  if (!kernel) end_run(note);
  if (is_load) {
    note->signature.under_way = is_signed;
    forget_signer(note);
  }
}

// What the seal keeps of the call, whatever the policy says.
static __always_inline int judge_own(int command, union bpf_attr* attr) {
  const int error = reach_number(command, attr);
  if (error) return error;
  if (command == BPF_ITER_CREATE) return reach_iterated(link_of(attr->iter_create.link_fd));
  return outranks(command, attr)
             ? error_of(reach_own(BW_OWN_FLOOR, BW_OWN_GUARD, BW_ROUTE_OWN_OUTRANKED))
             : 0;
}

SEC("lsm.s/bpf")
int BPF_PROG(warden_bpf, int command, union bpf_attr* attr) {
  __u64 address = 0;  // of the attributes, as a global function takes it
  if (is_map_access(command)) return 0;
  const bool kernel = is_kernel_call(ctx, 3, command);
  forget_last_call(command, attr, kernel);
  int ret = kernel ? 0 : judge_order(command, attr);
  if (!ret) ret = judge_own(command, attr);
  if (ret) return leave_token(GUARDED_BPF, ret);
  if (takes_link(command)) return leave_token(GUARDED_BPF, judge_taking(command, attr));
  if (bpf_get_func_arg(ctx, 1, &address)) return leave_token(GUARDED_BPF, -EPERM);
  return leave_token(GUARDED_BPF, judge_call(command, attr, address, kernel));
}

// What cannot be noted would be a stranger to every later look.
static __always_inline void remember(struct bw_program* record, const struct bw_image* image,
                                     struct bpf_prog* prog) {
  __u64 key = (__u64)prog->aux;
  if (!bpf_map_update_elem(&programs, &key, record, BPF_ANY)) return;
  deny_now(image, BW_CAUSE_TABLE_FULL, record);
  name_decision(record, image);
}

static __always_inline void note_open(struct bw_program* record, const struct bw_image* image) {
  if (record->facts.names[BW_NAME_DIGEST].known) return;
  record->flags |= BW_PROGRAM_NO_DIGEST;
  if (image->flags & BW_IMAGE_DIGEST) record->flags |= BW_PROGRAM_OPEN;
}

// A signature beside the call. What the kernel itself has verified stands as it is.
static __always_inline void verify_here(struct task_note* note, struct bpf_prog* prog,
                                        const union bpf_attr* attr, bool kernel) {
  if (!verifies_here()) return;
  const bool by_kernel = BW_KERNEL_HAS(signature_attr) && attr->signature;
  note->signature.verified_here = 0;
  note->signature.error = 0;
  if (kernel) return;
  note->signature.error = (__u16)verify_load((__u64)BPF_CORE_READ(prog, aux), by_kernel);
}

// Refused, and by what an unknown signer may not do: it might come out otherwise, were it seen.
static __always_inline bool lacks_evidence(const struct bw_program* record,
                                           const struct task_note* note) {
  const struct bw_decision* decision = &record->decision;
  if (!(record->flags & BW_PROGRAM_SIGNED) || note->signature.seen == SEEN_ALL) return false;
  return bw_refused(decision) &&
         (decision->cause == BW_CAUSE_RULE || decision->cause == BW_CAUSE_DEFAULT);
}

static __always_inline void refuse_for_now(const struct bw_image* image, struct bw_program* record,
                                           struct bpf_prog* prog) {
  deny_now(image, BW_CAUSE_SIGNER_UNSEEN, record);
  if (verifies_here()) give_map_back((__u64)BPF_CORE_READ(prog, aux));
}

// What a refused load gets.
static __always_inline int answer_load(const struct task_note* note,
                                       const struct bw_program* record, int refused) {
  __u32 error = errno_of(note, record);
  int answer = 0;
  if (!refused) return 0;
  barrier_var(error);
  if (error > 4095) return -EPERM;
  barrier_var(answer);  // or clang negates, of which the verifier keeps no bounds
  answer -= (int)error;
  return answer;
}

static __always_inline int judge_load(struct bpf_prog* prog, union bpf_attr* attr, bool kernel) {
  struct task_note* note = task_note(BPF_LOCAL_STORAGE_GET_F_CREATE);
  if (note) note->signature.under_way = 0;  // from here on a failure is not the signature's
  const int error = reach_extended(prog);
  if (error) return error;
  if (is_successor()) return admit_successor(note, prog);
  struct bw_program* record = new_draft(note);
  if (!record) return refuse_blind(BW_HOOK_PROG_LOAD);
  const struct bw_image* image = active_image(&record->generation);
  if (!image) return refuse_blind(BW_HOOK_PROG_LOAD);
  record->policy_version = image->policy_version;
  verify_here(note, prog, attr, kernel);
  gather(record, prog, attr, kernel, image, wanted_facts(image), note);
  record->loading_task = (__u64)bpf_get_current_task_btf();
  note_open(record, image);
  record->decision = judge(image, &record->facts);
  if (lacks_evidence(record, note)) refuse_for_now(image, record, prog);
  name_decision(record, image);
  compare_load(record, note, prog, keyring_of(attr, note));
  if (!bw_refused(&record->decision)) remember(record, image, prog);
  if (waits_for_verifier(record, image)) return postpone(note, image, prog);
  return answer_load(note, record, conclude(BW_HOOK_PROG_LOAD, record, image, prog));
}

SEC("lsm.s/bpf_prog_load")
int BPF_PROG(warden_prog_load, struct bpf_prog* prog, union bpf_attr* attr) {
  const bool kernel = is_kernel_call(ctx, 3, BPF_PROG_LOAD);
  return leave_token(GUARDED_PROG_LOAD, judge_load(prog, attr, kernel));
}

static __always_inline int judge_look(struct bpf_prog* prog) {
  __u64 key = (__u64)prog->aux;
  struct bw_program* known = bpf_map_lookup_elem(&programs, &key);
  if (known && known->standing == BW_STANDING_CONFIRMED) return 0;
  if (binds_own((__u64)BPF_CORE_READ(prog, aux))) return -EPERM;
  if (verifies_here() && uses_signed_map((__u64)BPF_CORE_READ(prog, aux)))
    return refuse_foreign_map(prog);
  if (!known) {
    const int error = reach_program(prog);
    return error ? error : judge_stranger(prog);
  }
  struct task_note* note = task_note(BPF_LOCAL_STORAGE_GET_F_CREATE);
  return note ? look_at(known, prog, note) : refuse_blind(BW_HOOK_PROG);
}

SEC("lsm/bpf_prog")
int BPF_PROG(warden_prog, struct bpf_prog* prog, int ret) {
  return leave_token(GUARDED_PROG, ret ? ret : judge_look(prog));
}

// Also of a program that the verifier refuses: then in the task that would load it.
SEC("lsm/bpf_prog_free")
int BPF_PROG(warden_prog_free, struct bpf_prog* prog) {
  __u64 key = (__u64)prog->aux;
  struct task_note* note = task_note(0);
  if (note && note->later.aux == key) tell_postponed(note, &note->draft);
  bpf_map_delete_elem(&programs, &key);
  if (verifies_here()) bpf_map_delete_elem(&claims, &key);
  bpf_map_delete_elem(&unjudged, &key);
  forget_growing(key);
  return 0;
}

// Of the signed load in note: the kernel refused it.
static __always_inline void report_rejection(struct task_note* note, int error) {
  const struct bw_decision refused = {
      .mode = BW_MODE_ENFORCE, .cause = BW_CAUSE_KERNEL_REJECTED, .rule = BW_NO_RULE};
  __u64 generation = 0;
  const struct bw_image* image = active_image(&generation);
  if (is_asleep()) return;
  count(&refused, true);
  struct bw_event* event =
      begin_event(BW_HOOK_OBSERVED, generation, &refused, 0, (__u32)error << SUM_ERROR);
  if (!event) return;
  clear_names(event);
  event->refused = 1;
  event->error = error;
  event->generation = generation;
  event->mode = refused.mode;
  event->rule = refused.rule;
  event->cause = refused.cause;
  describe_policy(event, image);
  describe_task(event, note);
  event->verifier = BW_VERIFIER_KERNEL;
  event->wanted_key_length = note->signature.wanted_key_length;
  __builtin_memcpy(event->wanted_key, note->signature.wanted_key, sizeof(event->wanted_key));
  end_event(event);
}

// The end of a load, by whichever entry of the system call. If it carried a signature and failed
// before lsm/bpf_prog_load, the kernel refused it.
SEC("fexit/bpf_prog_load")
int BPF_PROG(observe_load) {
  const int ret = (int)(long)returned(ctx);
  struct task_note* note = task_note(0);
  if (!note) return 0;
  tell_postponed(note, &note->draft);  // of a program that is freed later
  if (!note->signature.under_way) return 0;
  note->signature.under_way = 0;
  if (ret < 0) report_rejection(note, -ret);
  return 0;
}
