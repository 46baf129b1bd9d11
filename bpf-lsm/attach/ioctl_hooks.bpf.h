// Programs that ioctl(2) attaches: to perf events, tun devices and kcm sockets.
#pragma once

#include "bpf-lsm/attach/held_programs.bpf.h"
#include "bpf-lsm/attach/names_nothing.bpf.h"
#include "bpf-lsm/attach/probe_files.bpf.h"
#include "bpf-lsm/seal/seal.bpf.h"

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

static __always_inline bool is_of_tun(unsigned int command) {
  return command == TUNSETSTEERINGEBPF || command == TUNSETFILTEREBPF;
}

static __always_inline bool may_attach_by(unsigned int command) {
  return command == PERF_EVENT_IOC_SET_BPF || command == SIOCKCMATTACH || is_of_tun(command);
}

static __always_inline int judge_ioctl(struct file* file, unsigned int command,
                                       unsigned long argument) {
  const __u64 types = ONE_TYPE(BPF_PROG_TYPE_SOCKET_FILTER);
  const bool of_tun = is_of_tun(command);
  if (!asks_at_attach()) return 0;
  if (command == PERF_EVENT_IOC_SET_BPF) return judge_perf_event(file, argument);
  if (!(of_tun ? is_tun(file) : is_kcm(file)) || holds_none(types)) return 0;
  if (!new_attachment(BW_ROUTE_IOCTL)) return refuse_blind(BW_HOOK_ATTACH);
  return judge_held_programs(types);
}

SEC("lsm/file_ioctl")
int BPF_PROG(attach_ioctl, struct file* file, unsigned int command, unsigned long argument,
             int ret) {
  if (!may_attach_by(command)) return ret;
  return leave_token(GUARDED_IOCTL, ret ? ret : judge_ioctl(file, command, argument));
}

SEC("lsm/file_ioctl_compat")
int BPF_PROG(attach_ioctl_compat, struct file* file, unsigned int command, unsigned long argument,
             int ret) {
  if (!may_attach_by(command)) return ret;
  return leave_token(GUARDED_IOCTL_COMPAT, ret ? ret : judge_ioctl(file, command, argument));
}
