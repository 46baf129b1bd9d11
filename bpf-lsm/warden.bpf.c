// The warden: decides in the kernel which BPF programs may load, by the active policy image.
//
// hook                              threat it answers
// lsm/bpf_prog_load                 unsigned, foreign, replayed or misplaced programs: the decision
// lsm/bpf_prog                      instructions or attach target changed after they were verified;
//                                   a refused program had by who asks for it meanwhile
// lsm/bpf_map_create                a loader's metadata rewritten after its signature was checked
// lsm/bpf_map, lsm/file_receive     a running loader's data rewritten before it is frozen
// lsm/file_receive, lsm/ptrace_access_check
//                                   the link of who won a race, and is killed for it, taken over by
//                                   another process
// lsm/bpf_map_free                  a freed map taken for another one
// lsm/bpf_token_create              user namespaces that load programs, where the policy wants none
// lsm.s/bpf                         stale evidence: forgets what an earlier call of the task left;
//                                   programs attached, run, or put where they run, elsewhere than
//                                   the policy says; such a link taken over by its number or a pin
// lsm/file_ioctl, lsm/file_ioctl_compat, lsm/socket_setsockopt, lsm/netlink_send
//                                   likewise, outside of bpf(2)
// lsm/sb_delete                     a file system taken for one that has ended
// lsm/file_open                     an iterator of bpffs that runs by being read; probes appended
//                                   to an event that runs judged programs (report only)
// lsm/key_permission                the trusted keyring taken apart: cleared, revoked, invalidated
// lsm/bpf_prog_free                 a freed program's provenance inherited by another one
// fentry+fexit/bpf_prog_test_run_syscall  kernel loads that no signed loader makes
// fexit/verify_signature            which key verified (evidence)
// fexit/pkcs7_validate_trust        that it was the only signer (evidence)
// fexit/bpf_prog_load               what the kernel itself refused (report only)
// fexit/*_get, *_get_from_fd, …     what the descriptors of a watched attachment were (evidence);
//                                   a way that no hook judged (alarm)
// fentry/bpf_link_settle, fentry/tracepoint_probe_register_prio_may_exist
//                                   what the kernel has read from the caller's memory (evidence)
// fexit/netif_change_name, fexit/__dev_change_net_namespace
//                                   programs taken along to another name or network namespace
//                                   (report only)
// fexit/dev_xdp_propagate, fexit/tcf_block_get_ext, fexit/tcf_idr_check_alloc
//                                   programs that a device joins: of a bond, a shared block, an
//                                   action by its number (report only)
// iter/bpf_prog, iter/bpf_link, iter/task_file  list what is there (report only)
//
// Only the LSM programs decide. A tracing program may be skipped by the kernel on recursion, so it
// adds evidence and nothing else: no note of a key means an unknown signer, no mark of a loader run
// means a refused kernel load. Whatever cannot be looked up is denied.
#include "bpf-lsm/attach/attach_netlink.bpf.h"
#include "bpf-lsm/attach/attach_syscall.bpf.h"
#include "bpf-lsm/attach/device_joined.bpf.h"
#include "bpf-lsm/attach/file_received.bpf.h"
#include "bpf-lsm/attach/link_taken.bpf.h"
#include "bpf-lsm/attach/process_reached.bpf.h"
#include "bpf-lsm/attach/unjudged.bpf.h"
#include "bpf-lsm/capable.bpf.h"
#include "bpf-lsm/inventory.bpf.h"
#include "bpf-lsm/keyring.bpf.h"
#include "bpf-lsm/loader_maps.bpf.h"
#include "bpf-lsm/look.bpf.h"
#include "bpf-lsm/signed_by.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

// ---- Deciding hooks -----------------------------------------------------------------------------

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
  note->attachment.watched = 0;
  note->attachment.route = BW_ROUTE_NONE;
  note->command = (__u32)command;
  note->call = call_stamp();
  if (!kernel) end_run(note);
  if (is_load) {
    note->signed_load = is_signed;
    note->signed_by.evidence = BW_EVIDENCE_NONE;
    note->wanted_key_length = 0;
  }
}

SEC("lsm.s/bpf")
int BPF_PROG(warden_bpf, int command, union bpf_attr* attr, unsigned int size, bool kernel,
             int ret) {
  __u64 address = 0;  // of the attributes, as a global function takes it
  if (is_map_access(command)) return ret;
  forget_last_call(command, attr, kernel);
  if (ret) return ret;
  if (takes_link(command)) return judge_taking(command, attr);
  return bpf_get_func_arg(ctx, 1, &address) ? -EPERM : judge_call(command, attr, address, kernel);
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

SEC("lsm/bpf_prog_load")
int BPF_PROG(warden_prog_load, struct bpf_prog* prog, union bpf_attr* attr, struct bpf_token* token,
             bool kernel, int ret) {
  struct task_note* note = task_note(BPF_LOCAL_STORAGE_GET_F_CREATE);
  if (note) note->signed_load = 0;  // from here on a failure is not the signature's
  if (ret) return ret;
  struct bw_program* record = new_draft(note);
  if (!record) return refuse_blind(BW_HOOK_PROG_LOAD);
  const struct bw_image* image = active_image(&record->generation);
  if (!image) return refuse_blind(BW_HOOK_PROG_LOAD);
  record->policy_version = image->policy_version;
  gather(record, prog, attr, kernel, image, wanted_facts(image), note);
  record->loading_task = (__u64)bpf_get_current_task_btf();
  note_open(record, image);
  judge(image, &record->facts, &record->decision);
  name_decision(record, image);
  compare_load(record, note, prog, attr->keyring_id);
  if (!bw_refused(&record->decision)) remember(record, image, prog);
  if (waits_for_digest(record, image)) return postpone(note, image, prog);
  return conclude(BW_HOOK_PROG_LOAD, record, image, prog);
}

SEC("lsm/bpf_prog")
int BPF_PROG(warden_prog, struct bpf_prog* prog, int ret) {
  __u64 key = (__u64)prog->aux;
  if (ret) return ret;
  struct bw_program* known = bpf_map_lookup_elem(&programs, &key);
  if (!known) return judge_stranger(prog);
  if (known->standing == BW_STANDING_CONFIRMED) return 0;
  struct task_note* note = task_note(BPF_LOCAL_STORAGE_GET_F_CREATE);
  return note ? look_at(known, prog, note) : refuse_blind(BW_HOOK_PROG);
}

static __always_inline int refuse_map(enum bw_cause cause, bool kernel) {
  struct bw_program* record = new_draft(task_note(BPF_LOCAL_STORAGE_GET_F_CREATE));
  if (!record) return refuse_blind(BW_HOOK_MAP_CREATE);
  record->facts.origin = kernel ? BW_ORIGIN_KERNEL : BW_ORIGIN_USER;
  return refuse_for(cause, BW_HOOK_MAP_CREATE, record, 0);
}

// Here a map of a loader is noted as its own: before the next hook anybody can ask for its number.
SEC("lsm/bpf_map_create")
int BPF_PROG(warden_map_create, struct bpf_map* map, union bpf_attr* attr, struct bpf_token* token,
             bool kernel, int ret) {
  if (ret) return ret;
  const struct task_note* run = kernel ? task_note(0) : 0;
  if (run && run->loader_aux && run->loader_signature != BW_SIGNATURE_UNSIGNED &&
      !note_loader_map((__u64)map, run->loader_aux, run->loader_id, false))
    return refuse_map(BW_CAUSE_TABLE_FULL, kernel);
  if (!BW_KERNEL_HAS(exclusive_maps)) return 0;
  if (!attr->excl_prog_hash || !(attr->map_flags & BPF_F_MMAPABLE)) return 0;
  return refuse_map(BW_CAUSE_WRITABLE_EXCLUSIVE_MAP, kernel);
}

SEC("lsm/bpf_token_create")
int BPF_PROG(warden_token_create, struct bpf_token* token, union bpf_attr* attr,
             const struct path* path, int ret) {
  __u64 generation = 0;
  if (ret) return ret;
  const struct bw_image* image = active_image(&generation);
  if (image && !(image->flags & BW_IMAGE_NO_TOKENS)) return 0;
  struct bw_program* record = image ? new_draft(task_note(BPF_LOCAL_STORAGE_GET_F_CREATE)) : 0;
  if (!record) return refuse_blind(BW_HOOK_TOKEN_CREATE);
  record->generation = generation;
  return refuse_by(image, BW_CAUSE_TOKEN_DENIED, BW_HOOK_TOKEN_CREATE, record, 0);
}

// key_ref_t points to a struct that has no definition, so the verifier does not type the argument.
SEC("lsm/key_permission")
int warden_key_permission(__u64* arguments) {
  __u64 key_ref = 0, need = 0;
  if (bpf_get_func_arg(arguments, 0, &key_ref) || bpf_get_func_arg(arguments, 2, &need)) return 0;
  if (!takes_away((int)need)) return 0;
  const struct bw_image* image = ring_owner();
  const __s32 serial = serial_of(key_ref);
  if (!image || !is_sealed(image, serial)) return 0;
  struct bw_program* record = new_draft(task_note(BPF_LOCAL_STORAGE_GET_F_CREATE));
  if (!record) return refuse_blind(BW_HOOK_KEY);
  record->key_serial = serial;
  return refuse_for(BW_CAUSE_SEALED_KEY, BW_HOOK_KEY, record, 0);
}

// Also of a program that the verifier refuses: then in the task that would load it.
SEC("lsm/bpf_prog_free")
int BPF_PROG(warden_prog_free, struct bpf_prog* prog) {
  __u64 key = (__u64)prog->aux;
  struct task_note* note = task_note(0);
  if (note && note->postponed_aux == key) tell_postponed(note, &note->draft);
  bpf_map_delete_elem(&programs, &key);
  bpf_map_delete_elem(&unjudged, &key);
  forget_growing(key);
  return 0;
}

// ---- Evidence -----------------------------------------------------------------------------------

// A signed loader runs once, and only while no other thread can swap the file descriptors it makes.
// What an unsigned one loads is unsigned whoever meddles with it; what a signed one has loaded is
// no loader.
static __always_inline bool may_vouch(struct bw_program* loader, struct bpf_prog* prog) {
  if (loader->standing != BW_STANDING_CONFIRMED) return false;
  if (!(loader->flags & BW_PROGRAM_SIGNED)) return loader->facts.signature == BW_SIGNATURE_UNSIGNED;
  if (BPF_CORE_READ(bpf_get_current_task_btf(), files, count.counter) != 1) return false;
  if (__sync_val_compare_and_swap(&loader->run, BW_RUN_DUE, BW_RUN_UNDER_WAY) != BW_RUN_DUE)
    return false;
  if (takes_its_metadata(prog, loader->program_id)) return true;
  loader->run = BW_RUN_OVER;
  return false;
}

SEC("fentry/bpf_prog_test_run_syscall")
int BPF_PROG(note_loader_start, struct bpf_prog* prog) {
  __u64 key = (__u64)prog->aux;
  end_run(task_note(0));
  struct bw_program* loader = bpf_map_lookup_elem(&programs, &key);
  if (!loader || !may_vouch(loader, prog)) return 0;
  struct task_note* note = task_note(BPF_LOCAL_STORAGE_GET_F_CREATE);
  if (!note) return 0;
  note->loader_signature = loader->facts.signature;
  note->loader_signer = loader->facts.signer;
  note->loader_key_serial = loader->key_serial;
  note->loader_id = loader->program_id;
  note->loader_generation = loader->generation;
  note->loader_staged_signer = loader->staged_signer;
  note->loader_staged_generation = loader->staged_generation;
  __builtin_memcpy(note->loader_signer_key, loader->signer_key, sizeof(note->loader_signer_key));
  __builtin_memcpy(note->loader_digest, loader->facts.names[BW_NAME_DIGEST].bytes,
                   sizeof(note->loader_digest));
  note->loader_aux = key;
  return 0;
}

SEC("fexit/bpf_prog_test_run_syscall")
int BPF_PROG(note_loader_end, struct bpf_prog* prog) {
  end_run(task_note(0));
  return 0;
}

SEC("fexit/verify_signature")
int BPF_PROG(note_verified_key, const struct key* key, const struct public_key_signature* sig,
             int ret) {
  struct task_note* note = task_note(0);
  if (!note || !note->signed_load) return 0;
  note->signed_by.evidence = BW_EVIDENCE_NONE;
  if (ret || !is_public_key(key)) return 0;
  const struct public_key* public = BPF_CORE_READ(key, payload.data[0]);
  note_public_key(&note->signed_by.verified, public);
  if (!note->signed_by.verified.length) return 0;
  note->signed_by.may_issue = may_issue(public);
  note->verified_sig = (__u64)sig;
  note->key_serial = key->serial;
  note->signed_by.evidence = BW_EVIDENCE_VERIFIED;
  return 0;
}

// One signer only. The trusted key verified that signer's signature, or issued its certificate.
SEC("fexit/pkcs7_validate_trust")
int BPF_PROG(note_sole_signer, struct pkcs7_message* message, struct key* ring, int ret) {
  struct task_note* note = task_note(0);
  if (!note || !note->signed_load) return 0;
  if (ret == -ENOKEY) note_wanted_key(note, message);
  if (ret || note->signed_by.evidence != BW_EVIDENCE_VERIFIED) return 0;
  struct pkcs7_signed_info* info = message->signed_infos;
  if (!info || BPF_CORE_READ(info, next)) return 0;
  struct x509_certificate* signer = BPF_CORE_READ(info, signer);
  if ((__u64)BPF_CORE_READ(info, sig) == note->verified_sig) {
    note->signed_by.chain_length = 0;
    note->signed_by.evidence = BW_EVIDENCE_SOLE_SIGNER;
  } else if (signer && note_chain(note, signer)) {
    note->signed_by.evidence = BW_EVIDENCE_ISSUER;
  }
  return 0;
}

// Of the signed load in note: the kernel refused it.
static __always_inline void report_rejection(struct task_note* note, int error) {
  const struct bw_decision refused = {
      .mode = BW_MODE_ENFORCE, .cause = BW_CAUSE_KERNEL_REJECTED, .rule = BW_NO_RULE};
  __u64 generation = 0;
  const struct bw_image* image = active_image(&generation);
  struct bw_event* event = new_event(BW_HOOK_OBSERVED, true);
  count(&refused, true, false);
  if (!event) {
    sum_up(BW_HOOK_OBSERVED, generation, word_of(&refused), 0, (__u32)error << SUM_ERROR);
    return;
  }
  event->refused = 1;
  event->error = error;
  event->generation = generation;
  event->mode = refused.mode;
  event->rule = refused.rule;
  event->cause = refused.cause;
  describe_policy(event, image);
  describe_task(event, note);
  event->wanted_key_length = note->wanted_key_length;
  __builtin_memcpy(event->wanted_key, note->wanted_key, sizeof(event->wanted_key));
  bpf_ringbuf_submit(event, 0);
}

// The end of a load, by whichever entry of the system call. If it carried a signature and failed
// before lsm/bpf_prog_load, the kernel refused it.
SEC("fexit/bpf_prog_load")
int BPF_PROG(observe_load) {
  const int ret = (int)(long)returned(ctx);
  struct task_note* note = task_note(0);
  if (!note) return 0;
  tell_postponed(note, &note->draft);  // of a program that is freed later
  if (!note->signed_load) return 0;
  note->signed_load = 0;
  if (ret < 0) report_rejection(note, -ret);
  return 0;
}
