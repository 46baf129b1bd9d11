// The warden: decides in the kernel which BPF programs may load, by the active policy image.
//
// The files that hold its hooks, and the threat that each hook answers:
//
// load_hooks.bpf.h
//   lsm.s/bpf                     stale evidence: forgets what an earlier call of the task left;
//                                 programs attached, run, or put where they run, elsewhere than the
//                                 policy says (attach/bpf_call.bpf.h); the link of who won a race
//                                 taken over by its number or a pin (attach/link_taken.bpf.h);
//                                 a policy in the place of another that only those may replace, or
//                                 end, who have not signed that (seal/order.bpf.h)
//   lsm.s/bpf_prog_load           unsigned, foreign, replayed or misplaced programs: the decision;
//                                 signatures, where the kernel verifies none
//   lsm/bpf_prog                  instructions or attach target changed after they were verified;
//                                 a refused program had by who asks for it meanwhile
//   lsm/bpf_prog_free             a freed program's provenance inherited by another one
//   fexit/bpf_prog_load           what the kernel itself refused (report only)
// loader_hooks.bpf.h
//   fentry/bpf_prog_test_run_syscall, fexit/bpf_prog_test_run_syscall
//                                 kernel loads that no signed loader makes (evidence)
// map_hooks.bpf.h
//   lsm/bpf_map_create            a loader's metadata rewritten after its signature was checked
//   lsm/bpf_map                   a running loader's data rewritten before it is frozen; who opens
//                                 maps of the warden's own
//   lsm/bpf_map_free              a freed map taken for another one
// seal/own_hooks.bpf.h
//   lsm/inode_unlink, lsm/inode_rename
//                                 pins of the warden's own removed, or renamed
//   fentry/bpf_link_new_fd        its links opened (report only)
// seal/guard_hooks.bpf.h
//   lsm_cgroup/bpf, lsm_cgroup/bpf_prog_load, lsm_cgroup/bpf_prog, lsm_cgroup/bpf_map,
//   lsm_cgroup/bpf_map_create, lsm_cgroup/file_open, lsm_cgroup/file_ioctl,
//   lsm_cgroup/file_ioctl_compat, lsm_cgroup/socket_setsockopt, lsm_cgroup/netlink_send
//                                 the hooks of these names taken away from a sealed host; of
//                                 file_open: kernel.ftrace_enabled written
// signature_hooks.bpf.h
//   fexit/verify_signature        which key verified (evidence)
//   fexit/pkcs7_validate_trust    that it was the only signer (evidence)
// key_hooks.bpf.h
//   lsm/key_permission            the trusted keyring taken apart: cleared, revoked, invalidated
// token_hooks.bpf.h
//   lsm/bpf_token_create          user namespaces that load programs, where the policy wants none
// harden_hooks.bpf.h
//   lsm/locked_down, lsm/kernel_load_data, lsm/kernel_read_file
//                                 the kernel itself written, or another one booted: by modules,
//                                 kexec, /dev/mem and the like, where the policy closes them
// filesystem_hooks.bpf.h
//   lsm/sb_delete                 a file system taken for one that has ended
// inventory_hooks.bpf.h
//   iter/bpf_prog, iter/bpf_link, iter/task_file
//                                 list what is there (report only)
// attach/ioctl_hooks.bpf.h
//   lsm/file_ioctl, lsm/file_ioctl_compat
//                                 programs attached elsewhere than the policy says, by ioctl(2)
// attach/setsockopt_hooks.bpf.h
//   lsm/socket_setsockopt         likewise, by setsockopt(2)
// attach/netlink_hooks.bpf.h
//   lsm/netlink_send              likewise, by messages of netlink
// attach/pinned_hooks.bpf.h
//   lsm/bpf_prog                  likewise, by a rule of iptables that names a path of bpffs
// attach/open_hooks.bpf.h
//   lsm/file_open                 an iterator of bpffs that runs by being read; probes appended to
//   an
//                                 event that runs judged programs (report only)
// attach/received_hooks.bpf.h
//   lsm/file_receive              the link of who won a race, and is killed for it, taken over by
//                                 another process; likewise a running loader's map
// attach/reach_hooks.bpf.h
//   lsm/ptrace_access_check       the same link, by who attaches to the process
// attach/watch_hooks.bpf.h
//   fexit/cgroup_get_from_fd, fexit/perf_event_get, fexit/bpf_map_get, fexit/bpf_link_get_from_fd
//                                 what the descriptors of a watched attachment were (evidence)
//   fentry/tracepoint_probe_register_prio_may_exist, fentry/bpf_link_settle
//                                 what the kernel has read from the caller's memory (evidence)
// attach/unjudged_hooks.bpf.h
//   fexit/__bpf_prog_get, fexit/bpf_prog_get, fexit/bpf_prog_get_type_dev
//                                 which program a descriptor was (evidence); a way that no hook
//                                 judged (alarm)
//   fexit/bpf_prog_get_type_path  likewise, of a path of bpffs (alarm)
// attach/device_hooks.bpf.h
//   fexit/netif_change_name, fexit/__dev_change_net_namespace
//                                 programs taken along to another name or network namespace
//                                 (report only)
//   fexit/dev_xdp_propagate, fexit/tcf_block_get_ext, fexit/tcf_idr_check_alloc
//                                 programs that a device joins: of a bond, a shared block, an
//                                 action by its number (report only)
//
// Only the LSM programs decide. A tracing program may be skipped by the kernel on recursion, so it
// adds evidence and nothing else: no note of a key means an unknown signer, no mark of a loader run
// means a refused kernel load. Whatever cannot be looked up is denied.
#include "bpf-lsm/attach/device_hooks.bpf.h"
#include "bpf-lsm/attach/ioctl_hooks.bpf.h"
#include "bpf-lsm/attach/netlink_hooks.bpf.h"
#include "bpf-lsm/attach/open_hooks.bpf.h"
#include "bpf-lsm/attach/pinned_hooks.bpf.h"
#include "bpf-lsm/attach/reach_hooks.bpf.h"
#include "bpf-lsm/attach/received_hooks.bpf.h"
#include "bpf-lsm/attach/setsockopt_hooks.bpf.h"
#include "bpf-lsm/attach/unjudged_hooks.bpf.h"
#include "bpf-lsm/attach/watch_hooks.bpf.h"
#include "bpf-lsm/filesystem_hooks.bpf.h"
#include "bpf-lsm/harden_hooks.bpf.h"
#include "bpf-lsm/inventory_hooks.bpf.h"
#include "bpf-lsm/key_hooks.bpf.h"
#include "bpf-lsm/load_hooks.bpf.h"
#include "bpf-lsm/loader_hooks.bpf.h"
#include "bpf-lsm/map_hooks.bpf.h"
#include "bpf-lsm/seal/guard_hooks.bpf.h"
#include "bpf-lsm/seal/own_hooks.bpf.h"
#include "bpf-lsm/signature_hooks.bpf.h"
#include "bpf-lsm/token_hooks.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";
