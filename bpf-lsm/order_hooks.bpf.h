// Orders, which come as BPF_OBJ_GET_INFO_BY_FD of no descriptor.
#pragma once

#include "bpf-lsm/order.bpf.h"

SEC("lsm.s/bpf")
int BPF_PROG(warden_order, int command, union bpf_attr* attr, unsigned int size, bool kernel,
             int ret) {
  if (ret || kernel || command != BPF_OBJ_GET_INFO_BY_FD) return ret;
  if (attr->info.bpf_fd != NO_DESCRIPTOR || attr->info.info_len != sizeof(struct bw_order))
    return 0;
  const int error = take_order_at(attr->info.info);
  return error < 0 && error >= -4095 ? error : 0;
}
