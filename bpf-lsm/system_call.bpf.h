// The system call that the calling task is in, by its registers: the kernel's own copy.
#pragma once

#include "bpf-lsm/maps.bpf.h"

enum {
  SYS_KEYCTL = 250,
  SYS_BPF = 321,
  SYS_KEYCTL_32 = 288,  // the 32-bit system call table
  SYS_BPF_32 = 357,
  X32_SYSCALL_BIT = 0x40000000,
};

// Whether it is that one, by either table, with this first argument. Of both the kernel takes the
// lower halves: what the caller has in the upper ones means nothing.
static __always_inline bool is_in_call(__u32 number, __u32 number_32, __u32 first) {
  struct pt_regs* regs = (void*)bpf_task_pt_regs(bpf_get_current_task_btf());
  const __u32 is = (__u32)BPF_CORE_READ(regs, orig_ax) & ~X32_SYSCALL_BIT;
  if (is == number) return (__u32)BPF_CORE_READ(regs, di) == first;
  return is == number_32 && (__u32)BPF_CORE_READ(regs, bx) == first;
}

// What the call returns to its caller, at its end: negative if it failed.
static __always_inline long result_of_call(void) {
  struct pt_regs* regs = (void*)bpf_task_pt_regs(bpf_get_current_task_btf());
  return (long)BPF_CORE_READ(regs, ax);
}
