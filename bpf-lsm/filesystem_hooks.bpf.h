// File systems that end: what host_path.bpf.h knows of them ends, too.
#pragma once

#include "bpf-lsm/maps.bpf.h"

// Its number may be given to another one from here on.
SEC("lsm/sb_delete")
int BPF_PROG(forget_filesystem, struct super_block* sb) {
  const __u32 device = sb->s_dev;
  const __u64 now = bpf_ktime_get_boot_ns();
  if (!bpf_map_update_elem(&ended_filesystems, &device, &now, BPF_ANY)) return 0;
  __u64* any = bpf_map_lookup_elem(&any_filesystem_ended, ARRAY_ZERO);
  if (any) *any = now;
  return 0;
}
