// bpfwarden's own keyring, and the keys in it, stay as they are.
#pragma once

#include "bpf-lsm/keyring.bpf.h"
#include "bpf-lsm/provenance.bpf.h"

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
