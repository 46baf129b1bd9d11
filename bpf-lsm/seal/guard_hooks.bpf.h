// The guard of a sealed host: programs of LSM_CGROUP on the root cgroup, which no descriptor, pin
// or mount holds. Each stands behind a hook of the warden's (the kernel runs what was attached last
// first), takes the token that the hook leaves, and denies without one: if hooks are taken away,
// nothing is admitted any more.
//
// There are ten slots. A token of bpf(2) gets none of its own: that call has one, and who has lost
// warden_bpf makes no tokens either. What the other hooks keep, and what their loss means, is in
// docs/threat-model.md.
#pragma once

#include "bpf-lsm/attach/ioctl_hooks.bpf.h"
#include "bpf-lsm/attach/netlink_hooks.bpf.h"
#include "bpf-lsm/attach/open_hooks.bpf.h"
#include "bpf-lsm/attach/setsockopt_hooks.bpf.h"
#include "bpf-lsm/load_hooks.bpf.h"

// A global function, which the verifier walks through once.
__noinline int tell_silent(__u32 hook) {
  static const char kNames[][BW_OWN_NAME_SIZE] __attribute__((aligned(8))) = {
      [GUARDED_BPF] = "hook warden_bpf",
      [GUARDED_PROG_LOAD] = "hook warden_prog_load",
      [GUARDED_PROG] = "hook warden_prog",
      [GUARDED_MAP] = "hook give_map",
      [GUARDED_MAP_CREATE] = "hook warden_map_create",
      [GUARDED_IOCTL] = "hook attach_ioctl",
      [GUARDED_IOCTL_COMPAT] = "hook attach_ioctl_compat",
      [GUARDED_SETSOCKOPT] = "hook attach_setsockopt",
      [GUARDED_NETLINK] = "hook attach_netlink",
  };
  struct task_note* note = task_note(BPF_LOCAL_STORAGE_GET_F_CREATE);
  struct bw_program* record = new_draft(note);
  const struct bw_image* image = record ? active_image(&record->generation) : 0;
  if (!image || hook >= sizeof(kNames) / sizeof(*kNames)) return 0;
  name_own(record, kNames[hook]);
  draft_denial(record, image, BW_CAUSE_WARDEN_SILENT, BW_MODE_ENFORCE);
  return report_draft(note, BW_HOOK_OWN, record->generation, 0, BW_MODE_ENFORCE);
}

// What a program of LSM_CGROUP returns: 1 lets the call pass, 0 is EPERM. With the call of bpf(2)
// all other tokens end: none is left over from a hook behind which something else said no.
static __always_inline int take_token(enum guarded hook) {
  struct task_note* note = task_note(0);
  if (!host_is_sealed()) return 1;
  const bool has_token = note && (note->tokens & 1U << hook);
  if (note) note->tokens = hook == GUARDED_BPF ? 0 : note->tokens & ~(1U << hook);
  if (has_token) return 1;
  tell_silent(hook);
  return 0;
}

// So that the verifier sees that it is one of these.
static __always_inline int passes(int refused) {
  barrier_var(refused);
  return refused ? 0 : 1;
}

SEC("lsm_cgroup/bpf")
int BPF_PROG(guard_bpf, int command) {
  return is_map_access(command) ? 1 : take_token(GUARDED_BPF);
}

SEC("lsm_cgroup/bpf_prog_load")
int BPF_PROG(guard_prog_load) { return take_token(GUARDED_PROG_LOAD); }

SEC("lsm_cgroup/bpf_prog")
int BPF_PROG(guard_prog) { return take_token(GUARDED_PROG); }

SEC("lsm_cgroup/bpf_map")
int BPF_PROG(guard_map) { return take_token(GUARDED_MAP); }

SEC("lsm_cgroup/bpf_map_create")
int BPF_PROG(guard_map_create) { return take_token(GUARDED_MAP_CREATE); }

// This one asks nobody, for who has taken the hook of open(2) away would take the guard away by it:
// by a pinned iterator that writes the control word, and before Linux 7.3 by kernel.ftrace_enabled.
SEC("lsm_cgroup/file_open")
int BPF_PROG(guard_open, struct file* file) {
  if (file->f_op == &bpf_iter_fops)
    return passes(reach_iterated(BPF_CORE_READ(file, f_inode, i_private)));
  if (!(file->f_mode & FMODE_WRITE) || !host_is_sealed() || !is_ftrace_switch(file)) return 1;
  return passes(reach_own(BW_OWN_FLOOR, BW_OWN_FTRACE, BW_ROUTE_OWN_SET));
}

SEC("lsm_cgroup/file_ioctl")
int BPF_PROG(guard_ioctl, struct file* file, unsigned int command) {
  return may_attach_by(command) ? take_token(GUARDED_IOCTL) : 1;
}

SEC("lsm_cgroup/file_ioctl_compat")
int BPF_PROG(guard_ioctl_compat, struct file* file, unsigned int command) {
  return may_attach_by(command) ? take_token(GUARDED_IOCTL_COMPAT) : 1;
}

SEC("lsm_cgroup/socket_setsockopt")
int BPF_PROG(guard_setsockopt, struct socket* socket, int level, int option) {
  return types_of_option(level, option) ? take_token(GUARDED_SETSOCKOPT) : 1;
}

SEC("lsm_cgroup/netlink_send")
int BPF_PROG(guard_netlink, struct sock* sk) {
  return may_attach_over(BPF_CORE_READ(sk, sk_protocol)) ? take_token(GUARDED_NETLINK) : 1;
}
