// Programs that setsockopt(2) attaches: to sockets, and in tables of packet filters.
#pragma once

#include "bpf-lsm/attach/held_programs.bpf.h"
#include "bpf-lsm/capable.bpf.h"
#include "bpf-lsm/seal/seal.bpf.h"

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

static __always_inline int judge_option(struct socket* socket, int level, int option) {
  const __u64 types = types_of_option(level, option);
  if (!asks_at_attach()) return 0;
  if (!takes_option(socket, level) || (!sets_table(level, option) && holds_none(types))) return 0;
  if (!new_attachment(BW_ROUTE_SETSOCKOPT)) return refuse_blind(BW_HOOK_ATTACH);
  return judge_held_programs(types);
}

SEC("lsm/socket_setsockopt")
int BPF_PROG(attach_setsockopt, struct socket* socket, int level, int option, int ret) {
  if (!types_of_option(level, option)) return ret;
  return leave_token(GUARDED_SETSOCKOPT, ret ? ret : judge_option(socket, level, option));
}
