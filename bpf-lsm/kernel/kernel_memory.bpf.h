// Memory of the kernel, read by plain loads. Where nothing can be read such a load yields 0, as
// bpf_probe_read_kernel() leaves 0; it takes about ten instructions instead of sixty, and most of
// what a hook does is reading. What BPF_CORE_READ() reads is read so. What it yields is a number to
// the verifier, as before: global functions are handed addresses.
#pragma once

#include "bpf-lsm/kernel/bpf_types.bpf.h"

#include <bpf/bpf_helpers.h>

#include <bpf/bpf_core_read.h>

typedef __u8 __attribute__((may_alias)) kernel_u8;
typedef __u16 __attribute__((may_alias)) kernel_u16;
typedef __u32 __attribute__((may_alias)) kernel_u32;
typedef __u64 __attribute__((may_alias)) kernel_u64;

// The verifier wants a type of the kernel's for whatever is loaded: that one is sixteen bytes.
static __always_inline const void* kernel_memory(const void* address) {
  return bpf_rdonly_cast(address, bpf_core_type_id_kernel(struct in6_addr));
}

static __always_inline void load_kernel(void* to, __u32 size, const void* from) {
  if (size == sizeof(__u64))
    *(kernel_u64*)to = *(const kernel_u64*)kernel_memory(from);
  else if (size == sizeof(__u32))
    *(kernel_u32*)to = *(const kernel_u32*)kernel_memory(from);
  else if (size == sizeof(__u16))
    *(kernel_u16*)to = *(const kernel_u16*)kernel_memory(from);
  else if (size == sizeof(__u8))
    *(kernel_u8*)to = *(const kernel_u8*)kernel_memory(from);
  else
    bpf_probe_read_kernel(to, size, from);
}

#undef bpf_core_read
#define bpf_core_read(to, size, from) load_kernel(to, size, from)
