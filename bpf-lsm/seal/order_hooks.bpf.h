// Orders, which come as BPF_OBJ_GET_INFO_BY_FD of no descriptor.
#pragma once

#include "bpf-lsm/seal/order.bpf.h"

static __noinline void tell_refused(int error) {
  struct task_note* note = task_note(0);
  struct bw_program* record = new_draft(note);
  const struct bw_image* image = record ? active_image(&record->generation) : 0;
  if (!image) return;
  tell_postponed(note, record);
  record->policy_version = image->policy_version;
  deny_now(image, BW_CAUSE_ORDER_REFUSED, record);
  record->decision.mode = BW_MODE_ENFORCE;
  name_decision(record, image);
  tally(note, record);
  count(&record->decision, false);
  struct bw_event* event = begin_event(BW_HOOK_OWN, record->generation, &record->decision, 0,
                                       SUM_DRAFT | (__u32)error << SUM_ERROR);
  if (!event) return;
  event->refused = 1;
  event->error = error;
  describe_load(event, note, record, image, 0);
  end_event(event);
}

SEC("lsm.s/bpf")
int BPF_PROG(warden_order, int command, union bpf_attr* attr, unsigned int size, bool kernel,
             int ret) {
  if (ret || kernel || command != BPF_OBJ_GET_INFO_BY_FD) return ret;
  if (attr->info.bpf_fd != NO_DESCRIPTOR || attr->info.info_len != sizeof(struct bw_order))
    return 0;
  const int error = take_order_at(attr->info.info);
  if (error >= 0 || error < -4095) return 0;
  tell_refused(-error);
  return error;
}
