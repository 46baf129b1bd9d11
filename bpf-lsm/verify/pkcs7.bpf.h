// How a program has the kernel verify a signature (kernel/trace/bpf_trace.c, since 6.12 in all
// sleepable programs of LSM hooks).
#pragma once

#include "bpf-lsm/maps.bpf.h"

// include/linux/bpf.h
struct bpf_key {
  struct key* key;
  _Bool has_ref;
};

// include/uapi/linux/bpf.h
struct bpf_dynptr {
  __u64 opaque[2];
} __attribute__((aligned(8)));

extern struct bpf_key* bpf_lookup_user_key(__s32 serial, __u64 flags) __ksym __weak;
extern struct bpf_key* bpf_lookup_system_key(__u64 id) __ksym __weak;
extern void bpf_key_put(struct bpf_key* key) __ksym __weak;
extern int bpf_verify_pkcs7_signature(struct bpf_dynptr* data, struct bpf_dynptr* signature,
                                      struct bpf_key* keyring) __ksym __weak;

// Whether signatures are verified here that the kernel does not: those that cover a map before
// Linux 7.3, and before 6.18 all of them.
static __always_inline bool verifies_here(void) {
  return !BW_KERNEL_HAS(folded_maps) && BW_KERNEL_HAS(verifying_function);
}
