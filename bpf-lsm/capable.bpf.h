// Whether a load can come to anything, as far as that is about who asks: what the kernel looks at
// only after lsm/bpf, and before the signature (kernel/bpf/syscall.c, bpf_prog_load()).
#pragma once

#include "bpf-lsm/kernel/net_types.bpf.h"
#include "bpf-lsm/open_file.bpf.h"

extern const void init_user_ns __ksym __weak;
extern const void bpf_token_fops __ksym __weak;
extern const void sysctl_unprivileged_bpf_disabled __ksym __weak;

enum {
  CAP_NET_ADMIN = 12,
  CAP_SYS_ADMIN = 21,
  CAP_PERFMON = 38,
  CAP_BPF = 39,
};

// Any of these: a bit for each.
static __always_inline bool has_capability(__u64 wanted) {
  const struct cred* cred = BPF_CORE_READ(bpf_get_current_task_btf(), cred);
  return (BPF_CORE_READ(cred, cap_effective.val) & wanted) &&
         BPF_CORE_READ(cred, user_ns) == &init_user_ns;
}

static __always_inline bool is_bpf_capable(void) {
  return has_capability(1ULL << CAP_BPF | 1ULL << CAP_SYS_ADMIN);
}

// True where that cannot be read: then the kernel's refusals are reported rather than passed over.
static __always_inline bool is_unprivileged_allowed(void) {
  int disabled = 0;
  if (bpf_probe_read_kernel(&disabled, sizeof(disabled), &sysctl_unprivileged_bpf_disabled))
    return true;
  return !disabled;
}

static __always_inline bool may_load(const union bpf_attr* attr) {
  if (BW_KERNEL_HAS(program_token) && (attr->prog_flags & BPF_F_TOKEN_FD))
    return object_of(open_file(attr->prog_token_fd), &bpf_token_fops);
  return is_bpf_capable() || is_unprivileged_allowed();
}

// False where the kernel is going to refuse by itself: both want the capability in the user
// namespace of the socket's network. In another one than the caller's it may have it for other
// reasons.
static __always_inline bool may_administer(struct sock* sk) {
  const struct cred* cred = BPF_CORE_READ(bpf_get_current_task_btf(), cred);
  return BPF_CORE_READ(cred, user_ns) != BPF_CORE_READ(sk, __sk_common.skc_net.net, user_ns) ||
         (BPF_CORE_READ(cred, cap_effective.val) & 1ULL << CAP_NET_ADMIN);
}
