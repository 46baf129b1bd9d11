// User namespaces that load programs.
#pragma once

#include "bpf-lsm/provenance.bpf.h"

static __always_inline int judge_token(void) {
  __u64 generation = 0;
  const struct bw_image* image = active_image(&generation);
  if (image && !(image->flags & BW_IMAGE_NO_TOKENS)) return 0;
  struct bw_program* record = image ? new_draft(task_note(BPF_LOCAL_STORAGE_GET_F_CREATE)) : 0;
  if (!record) return refuse_blind(BW_HOOK_TOKEN_CREATE);
  record->generation = generation;
  return refuse_by(image, BW_CAUSE_TOKEN_DENIED, BW_HOOK_TOKEN_CREATE, record, 0);
}

SEC("lsm/bpf_token_create")
int BPF_PROG(warden_token_create, struct bpf_token* token, union bpf_attr* attr,
             const struct path* path, int ret) {
  return ret ? ret : judge_token();
}
