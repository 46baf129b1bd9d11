// The system call that the calling task is in, by its registers: the kernel's own copy.
#pragma once

#include "bpf-lsm/kernel/registers.bpf.h"
#include "bpf-lsm/maps.bpf.h"

// Its first argument, if it is that one, by either table; else negative. Of both the kernel takes
// the lower halves: what the caller has in the upper ones means nothing.
static __always_inline __s64 first_argument(__u32 number, __u32 number_32) {
  const struct pt_regs* regs = (void*)bpf_task_pt_regs(bpf_get_current_task_btf());
  const __u32 is = number_in(regs);
  if (is == number) return (__u32)first_in(regs);
  return is == number_32 ? first_in_32(regs) : -1;
}

// Negative in any other call.
static __always_inline __s64 bpf_command(void) {
  const __s64 command = first_argument(SYS_BPF, SYS_BPF_32);
  return command < 0 ? command : command & ~(__s64)BPF_COMMON_ATTRS;
}

// Whether the kernel calls for a program of type SYSCALL. Its hooks say so since 6.15, in their
// argument `index`. Before, the task's own call does: it runs a program then, which cannot have
// another one run.
static __always_inline bool is_kernel_call(void* context, __u32 index, __s64 command) {
  __u64 said = 0;
  if (!bpf_get_func_arg(context, index, &said)) return (__u8)said != 0;
  return bpf_command() != command;
}

// Tells a call from others, by its number and its arguments of either table. Two calls can be
// alike; then they ask for the same.
static __always_inline __u64 call_stamp(void) {
  const struct pt_regs* regs = (void*)bpf_task_pt_regs(bpf_get_current_task_btf());
  const __u64 words[] = REGISTERS_OF_CALL(regs);
  __u64 stamp = 0;
  for (__u32 i = 0; i < sizeof(words) / sizeof(*words); i++)
    stamp = (stamp ^ words[i]) * 0x9e3779b97f4a7c15ULL;
  return stamp | 1;  // 0 is none
}

// What the call returns to its caller, at its end: negative if it failed.
static __always_inline long result_of_call(void) {
  struct pt_regs* regs = (void*)bpf_task_pt_regs(bpf_get_current_task_btf());
  return (long)result_in(regs);
}
