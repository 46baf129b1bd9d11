// What a policy's [harden] closes beside BPF: modules, kexec, and what lockdown is asked about.
//
// Asked of all loads of firmware, modules and kernels, and of each BPF program that reads kernel
// memory: what no policy can close costs a look into a table.
#pragma once

#include "bpf-lsm/abi/harden.h"
#include "bpf-lsm/provenance.bpf.h"

// By this kernel's numbers, which the manager has found by their names: enum bw_hardening; 0: what
// no policy closes. Of reasons of lockdown also whether they count to its integrity.
const volatile __u8 harden_reasons[BW_MAX_LOCKDOWN_REASONS];
const volatile __u8 harden_integrity[BW_MAX_LOCKDOWN_REASONS];
const volatile __u8 harden_data[BW_MAX_LOADED_KINDS];   // of lsm/kernel_load_data
const volatile __u8 harden_files[BW_MAX_LOADED_KINDS];  // of lsm/kernel_read_file

static __always_inline int refuse_hardened(const struct bw_image* image, __u64 generation,
                                           __u32 what) {
  struct task_note* note = task_note(BPF_LOCAL_STORAGE_GET_F_CREATE);
  if (note) tell_postponed(note, &note->draft);  // the verifier may ask, in the midst of a load
  struct bw_program* record = new_draft(note);
  if (!record) return refuse_blind(BW_HOOK_HARDEN);
  record->generation = generation;
  record->policy_version = image->policy_version;
  deny_now(image, BW_CAUSE_HARDENED, record);
  name_decision(record, image);
  record->facts.names[BW_NAME_PLACE].words[0] = what;
  return conclude(BW_HOOK_HARDEN, record, image, 0);
}

static __always_inline int judge_hardening(__u32 what, bool is_integrity) {
  __u64 generation = 0;
  if (!what) return 0;
  const struct bw_image* image = active_image(&generation);
  if (!image) return refuse_blind(BW_HOOK_HARDEN);
  const int is_closed = bw_is_hardened(image, what, is_integrity);
  // A signed policy may have been written into the slot meanwhile.
  if (*(volatile const __u64*)&image->generation != generation) return refuse_blind(BW_HOOK_HARDEN);
  return is_closed ? refuse_hardened(image, generation, what) : 0;
}

SEC("lsm/locked_down")
int BPF_PROG(harden_locked_down, __u32 reason, int ret) {
  if (ret || reason >= BW_MAX_LOCKDOWN_REASONS) return ret;
  return judge_hardening(harden_reasons[reason], harden_integrity[reason]);
}

SEC("lsm/kernel_load_data")
int BPF_PROG(harden_load_data, __u32 kind, bool contents, int ret) {
  if (ret || kind >= BW_MAX_LOADED_KINDS) return ret;
  return judge_hardening(harden_data[kind], false);
}

SEC("lsm/kernel_read_file")
int BPF_PROG(harden_read_file, struct file* file, __u32 kind, bool contents, int ret) {
  if (ret || kind >= BW_MAX_LOADED_KINDS) return ret;
  return judge_hardening(harden_files[kind], false);
}
