// What an event tells: of the program, of who calls, of the policy.
#pragma once

#include "bpf-lsm/subject.bpf.h"

static __always_inline void describe_cgroup(struct bw_event* event, struct task_note* note) {
  if (!note || event->cgroup[0]) return;
  read_cgroup_of_task(note);
  if (note->paths.joined.known)
    __builtin_memcpy(event->cgroup, note->paths.joined.bytes, BW_NAME_SIZE);
}

static __always_inline void describe_caller(struct bw_event* event) {
  __u64 ids = bpf_get_current_pid_tgid();
  event->tgid = ids >> 32;
  event->pid = (__u32)ids;
  event->uid = (__u32)bpf_get_current_uid_gid();
  event->cgroup_id = bpf_get_current_cgroup_id();
  bpf_get_current_comm(event->comm, sizeof(event->comm));
}

static __always_inline void describe_task(struct bw_event* event, struct task_note* note) {
  describe_caller(event);
  describe_cgroup(event, note);
}

static __always_inline void describe_policy(struct bw_event* event, const struct bw_image* image) {
  if (!image) return;
  event->policy_version = image->policy_version;
  __builtin_memcpy(event->policy_digest, image->policy_digest, sizeof(event->policy_digest));
}

static __always_inline __u8 verifier_of(const struct bw_program* record) {
  const bool is_here = (record->flags & BW_PROGRAM_VERIFIED_HERE) ||
                       record->decision.cause == BW_CAUSE_SIGNATURE_REJECTED;
  if (is_here) return BW_VERIFIER_BPFWARDEN;
  return record->facts.signature == BW_SIGNATURE_UNSIGNED ? BW_VERIFIER_NONE : BW_VERIFIER_KERNEL;
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
  event->verifier = verifier_of(record);
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

// All but the names that are cleared below, which would be a twelfth of what the event costs:
// whoever begins one writes them whole, as describe_load() does, or clears them.
static __always_inline void start_event(struct bw_event* event, enum bw_hook hook) {
  __builtin_memset(event, 0, __builtin_offsetof(struct bw_event, attach_name));
  __builtin_memset(
      event->program_name, 0,
      __builtin_offsetof(struct bw_event, exe) - __builtin_offsetof(struct bw_event, program_name));
  __builtin_memset(
      &event->wall_time, 0,
      __builtin_offsetof(struct bw_event, place) - __builtin_offsetof(struct bw_event, wall_time));
  event->abi = BW_EVENT_ABI;
  event->hook = hook;
  event->count = 1;
  event->time_ns = bpf_ktime_get_boot_ns();
}

static __always_inline void clear_names(struct bw_event* event) {
  __builtin_memset(event->attach_name, 0, sizeof(event->attach_name));
  __builtin_memset(event->exe, 0, sizeof(event->exe));
  __builtin_memset(event->cgroup, 0, sizeof(event->cgroup));
  __builtin_memset(event->place, 0, sizeof(event->place));
}

static __always_inline void describe_load(struct bw_event* event, struct task_note* note,
                                          const struct bw_program* record,
                                          const struct bw_image* image, __u64 aux) {
  describe_program(event, record);
  describe_policy(event, image);
  describe_task(event, note);
  read_exe(note, event->exe);
  if (!aux) return;
  bpf_probe_read_kernel(event->program_name, BW_PROG_NAME_SIZE,
                        ((const struct bpf_prog_aux*)aux)->name);
}
