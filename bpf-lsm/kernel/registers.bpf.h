// The registers of the system call that a task is in, by architecture: arch/*/include/asm/ptrace.h
// and syscall.h. Numbers are of the table of 64-bit calls, those with _32 of the other one.
#pragma once

#include "bpf-lsm/kernel/kernel_types.bpf.h"

#ifdef __TARGET_ARCH_arm64

enum { SYS_KEYCTL = 219, SYS_BPF = 280, SYS_KEYCTL_32 = 311, SYS_BPF_32 = 386 };

struct pt_regs {
  __u64 regs[31];
  __u64 pc;
  __u64 orig_x0;  // regs[0], which the result replaces
  __s32 syscallno;
} __attribute__((preserve_access_index));

static __always_inline __u32 number_in(const struct pt_regs* regs) {
  return (__u32)regs->syscallno;
}
static __always_inline __u64 first_in(const struct pt_regs* regs) { return regs->orig_x0; }
static __always_inline __u64 second_in(const struct pt_regs* regs) { return regs->regs[1]; }
static __always_inline __u32 first_in_32(const struct pt_regs* regs) {
  return (__u32)regs->orig_x0;
}
// Of a call of 32 bits the upper half is 0: syscall_set_return_value() of arm64. All that is asked
// about here returns an int.
static __always_inline __u64 result_in(struct pt_regs* regs) {
  return (__u64)(__s32)BPF_CORE_READ(regs, regs[0]);
}

#define REGISTERS_OF_CALL(regs) \
  {(regs)->syscallno, (regs)->pc, (regs)->orig_x0, (regs)->regs[1], (regs)->regs[2]}

#else

enum { SYS_KEYCTL = 250, SYS_BPF = 321, SYS_KEYCTL_32 = 288, SYS_BPF_32 = 357 };

struct pt_regs {
  unsigned long bx;
  unsigned long ax;
  unsigned long cx;
  unsigned long dx;
  unsigned long si;
  unsigned long di;
  unsigned long orig_ax;
  unsigned long ip;
} __attribute__((preserve_access_index));

static __always_inline __u32 number_in(const struct pt_regs* regs) {
  const __u32 x32 = 0x40000000;  // __X32_SYSCALL_BIT
  return (__u32)regs->orig_ax & ~x32;
}
static __always_inline __u64 first_in(const struct pt_regs* regs) { return regs->di; }
static __always_inline __u64 second_in(const struct pt_regs* regs) { return regs->si; }
static __always_inline __u32 first_in_32(const struct pt_regs* regs) { return (__u32)regs->bx; }
static __always_inline __u64 result_in(struct pt_regs* regs) { return BPF_CORE_READ(regs, ax); }

// Of both tables.
#define REGISTERS_OF_CALL(regs) \
  {(regs)->orig_ax, (regs)->ip, (regs)->di, (regs)->si, (regs)->dx, (regs)->bx, (regs)->cx}

#endif
