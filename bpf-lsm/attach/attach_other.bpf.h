// The ways to attach a program that do not go through bpf(2): ioctls and socket options. Those by
// netlink are in attach_netlink.bpf.h.
#pragma once

#include "bpf-lsm/attach/attach_nothing.bpf.h"
#include "bpf-lsm/attach/probe_files.bpf.h"

// ---- ioctl(2) -----------------------------------------------------------------------------------

#define TUN_DEVICE (10 << 20 | 200)  // include/uapi/linux/major.h, include/linux/miscdevice.h

enum {
  PERF_EVENT_IOC_SET_BPF = 0x40042408,
  TUNSETSTEERINGEBPF = 0x800454e0,
  TUNSETFILTEREBPF = 0x800454e1,
  SIOCKCMATTACH = 0x89e0,  // others use this number, too
  AF_KCM = 41,
};

static __always_inline bool is_kcm(struct file* file) {
  struct socket* socket = object_of(file, &socket_file_ops);
  return socket && BPF_CORE_READ(socket, sk, __sk_common.skc_family) == AF_KCM;
}

static __always_inline bool is_tun(struct file* file) {
  return BPF_CORE_READ(file, f_inode, i_rdev) == TUN_DEVICE;
}

static __always_inline int judge_perf_event(struct file* file, unsigned long fd) {
  struct perf_event* event = object_of(file, &perf_fops);
  struct bpf_prog* prog = event ? program_of(fd) : 0;
  if (!event || (!prog && !shares_files())) return 0;
  if (!prog && passes_unjudged(fd)) return answer_nothing(fd);
  struct task_note* note = new_attachment(BW_ROUTE_PERF_EVENT);
  if (!note) return refuse_blind(BW_HOOK_ATTACH);
  if (!may_name(note, fd, prog)) return refuse_shared(prog);
  if (!prog) return 0;
  name_perf_event((__u64)event);
  return judge_at_event(note, prog);
}

static __always_inline int judge_ioctl(struct file* file, unsigned int command,
                                       unsigned long argument) {
  const __u64 types = ONE_TYPE(BPF_PROG_TYPE_SOCKET_FILTER);
  const bool of_tun = command == TUNSETSTEERINGEBPF || command == TUNSETFILTEREBPF;
  if (command != PERF_EVENT_IOC_SET_BPF && command != SIOCKCMATTACH && !of_tun) return 0;
  if (!asks_at_attach()) return 0;
  if (command == PERF_EVENT_IOC_SET_BPF) return judge_perf_event(file, argument);
  if (!(of_tun ? is_tun(file) : is_kcm(file)) || holds_none(types)) return 0;
  if (!new_attachment(BW_ROUTE_IOCTL)) return refuse_blind(BW_HOOK_ATTACH);
  return judge_held_programs(types);
}

SEC("lsm/file_ioctl")
int BPF_PROG(attach_ioctl, struct file* file, unsigned int command, unsigned long argument,
             int ret) {
  return ret ? ret : judge_ioctl(file, command, argument);
}

SEC("lsm/file_ioctl_compat")
int BPF_PROG(attach_ioctl_compat, struct file* file, unsigned int command, unsigned long argument,
             int ret) {
  return ret ? ret : judge_ioctl(file, command, argument);
}

// ---- setsockopt(2) ------------------------------------------------------------------------------

enum {
  AF_PACKET = 17,
  SOL_IP = 0,
  SOL_SOCKET = 1,
  SOL_IPV6 = 41,
  SOL_PACKET = 263,
  SO_ATTACH_BPF = 50,
  SO_ATTACH_REUSEPORT_EBPF = 52,
  PACKET_FANOUT_DATA = 22,
  // Of iptables and ip6tables alike, and of ebtables: xt_bpf may be among the matches.
  IPT_SO_SET_REPLACE = 64,
  EBT_SO_SET_ENTRIES = 128,
};

// False where the kernel is going to refuse by itself: both want the capability in the user
// namespace of the socket's network. In another one than the caller's it may have it for other
// reasons.
static __always_inline bool may_administer(struct sock* sk) {
  const struct cred* cred = BPF_CORE_READ(bpf_get_current_task_btf(), cred);
  return BPF_CORE_READ(cred, user_ns) != BPF_CORE_READ(sk, __sk_common.skc_net.net, user_ns) ||
         (BPF_CORE_READ(cred, cap_effective.val) & 1ULL << CAP_NET_ADMIN);
}

static __always_inline bool takes_option(struct socket* socket, int level) {
  struct sock* sk = BPF_CORE_READ(socket, sk);
  if (level == SOL_PACKET) return BPF_CORE_READ(sk, __sk_common.skc_family) == AF_PACKET;
  return level == SOL_SOCKET || may_administer(sk);
}

// A table of packet filters. Its matches name their programs by path as well, so who has none open
// may attach one. A kernel without ebtables knows no such option.
static __always_inline bool sets_table(int level, int option) {
  return ((level == SOL_IP || level == SOL_IPV6) && option == IPT_SO_SET_REPLACE) ||
         (level == SOL_IP && option == EBT_SO_SET_ENTRIES);
}

// The types of program that the option may attach.
static __always_inline __u64 types_of_option(int level, int option) {
  if (level == SOL_SOCKET && option == SO_ATTACH_BPF) return ONE_TYPE(BPF_PROG_TYPE_SOCKET_FILTER);
  if (level == SOL_SOCKET && option == SO_ATTACH_REUSEPORT_EBPF)
    return ONE_TYPE(BPF_PROG_TYPE_SOCKET_FILTER) | ONE_TYPE(BPF_PROG_TYPE_SK_REUSEPORT);
  if (level == SOL_PACKET && option == PACKET_FANOUT_DATA)
    return ONE_TYPE(BPF_PROG_TYPE_SOCKET_FILTER);
  return sets_table(level, option) ? ONE_TYPE(BPF_PROG_TYPE_SOCKET_FILTER) : 0;
}

SEC("lsm/socket_setsockopt")
int BPF_PROG(attach_setsockopt, struct socket* socket, int level, int option, int ret) {
  const __u64 types = types_of_option(level, option);
  if (ret || !types || !asks_at_attach()) return ret;
  if (!takes_option(socket, level) || (!sets_table(level, option) && holds_none(types))) return 0;
  if (!new_attachment(BW_ROUTE_SETSOCKOPT)) return refuse_blind(BW_HOOK_ATTACH);
  return judge_held_programs(types);
}

// ---- open(2) ------------------------------------------------------------------------------------
// Of an iterator that is pinned, and of the files that append probes.

extern const void bpf_iter_fops __ksym __weak;

// Its program runs whenever the file is read, without a call of bpf(2): kernel/bpf/bpf_iter.c,
// iter_open().
static __always_inline int judge_opened(struct bpf_link* link) {
  struct bpf_prog* prog = BPF_CORE_READ(link, prog);
  if (!prog || !asks_at_attach()) return 0;
  struct task_note* note = new_attachment(BW_ROUTE_ITER_CREATE);
  if (!note) return refuse_blind(BW_HOOK_ATTACH);
  take_point_of_load(&note->attachment, prog);
  return judge_program(prog);
}

SEC("lsm/file_open")
int BPF_PROG(attach_opened, struct file* file, int ret) {
  if (ret) return ret;
  if (file->f_op == &bpf_iter_fops) return judge_opened(BPF_CORE_READ(file, f_inode, i_private));
  if (file->f_mode & FMODE_WRITE) tell_of_growing(file);
  return 0;
}

// ---- Pinned programs ----------------------------------------------------------------------------

// Outside of bpf(2), only xt_bpf comes here: with a program that a rule of iptables names by its
// path, within one of the calls above. So it is judged on the very program that the table gets.
SEC("lsm/bpf_prog")
int BPF_PROG(attach_pinned, struct bpf_prog* prog, int ret) {
  struct task_note* note = task_note(0);
  struct attachment* at = note ? &note->attachment : 0;
  __u64 address = 0;  // as judge_attachment() takes it
  if (ret || !at) return ret;
  if (at->route != BW_ROUTE_SETSOCKOPT && at->route != BW_ROUTE_NETLINK) return 0;
  if (!asks_at_attach()) return 0;
  if (bpf_get_func_arg(ctx, 0, &address)) return -EPERM;
  at->program_aux = (__u64)BPF_CORE_READ(prog, aux);
  const __u8 shared = at->shared;
  at->shared = 0;
  const int error = judge_attachment(address);
  at->shared = shared;
  return error ? -EPERM : 0;
}
