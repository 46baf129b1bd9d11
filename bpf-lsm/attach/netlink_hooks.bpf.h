// Programs that messages of netlink attach: to devices, to filters and actions of tc, to routes, in
// rules of nftables.
#pragma once

#include "bpf-lsm/attach/held_programs.bpf.h"
#include "bpf-lsm/capable.bpf.h"
#include "bpf-lsm/seal/seal.bpf.h"

// One more than there is room for stands for all that are left: of any type, anywhere.
__noinline int note_destination(__u64 types, __u32 ifindex) {
  struct task_note* note = task_note(0);
  int i;
  if (!note) return 0;
  bpf_for(i, 0, (int)note->destinations.count) {
    const struct destination* known = &note->destinations.to[i & (MAX_DESTINATIONS - 1)];
    if (known->types == types && known->ifindex == ifindex) return 0;
  }
  const bool is_full = note->destinations.count >= MAX_DESTINATIONS;
  const __u32 last = is_full ? MAX_DESTINATIONS - 1 : note->destinations.count++;
  struct destination* to = &note->destinations.to[last & (MAX_DESTINATIONS - 1)];
  to->types = is_full ? ~0ULL : types;
  to->ifindex = is_full ? 0 : ifindex;
  to->attach_type = to->types == ONE_TYPE(BPF_PROG_TYPE_XDP) ? BPF_XDP : 0;
  return 0;
}

#include "bpf-lsm/attach/netlink_message.h"

// The kernel makes a program of the descriptor, and only compares it: no alarm about that.
static __always_inline int let_compare(void) {
  struct task_note* note = new_attachment(BW_ROUTE_NETLINK);
  if (note) note->attachment.watch.types = ONE_TYPE(BPF_PROG_TYPE_XDP);
  return 0;
}

// The kernel has its own copy of the messages already, and handles them within this call. What the
// caller has open is looked through once, however many they are. A match of nftables names its
// program by path as well, so who has none open may attach one.
static __always_inline int judge_messages(struct sock* sk, struct sk_buff* skb, __u16 protocol) {
  if (!may_administer(sk) || !asks_at_attach()) return 0;
  const __u64 data = (__u64)BPF_CORE_READ(skb, data);
  const __u32 length = BPF_CORE_READ(skb, len);
  const __u64 types = bw_types_in_buffer(data, length, protocol, 0);
  if (types == BW_EXPECTS_XDP) return let_compare();
  if (!types || (protocol != BW_NETLINK_NETFILTER && holds_none(types))) return 0;
  struct task_note* note = new_attachment(BW_ROUTE_NETLINK);
  if (!note) return refuse_blind(BW_HOOK_ATTACH);
  note->destinations.net = (__u64)BPF_CORE_READ(sk, __sk_common.skc_net.net);
  bw_types_in_buffer(data, length, protocol, 1);
  return judge_held_programs(types);
}

static __always_inline bool may_attach_over(__u16 protocol) {
  return protocol == BW_NETLINK_ROUTE || protocol == BW_NETLINK_NETFILTER;
}

SEC("lsm/netlink_send")
int BPF_PROG(attach_netlink, struct sock* sk, struct sk_buff* skb, int ret) {
  const __u16 protocol = BPF_CORE_READ(sk, sk_protocol);
  if (!may_attach_over(protocol)) return ret;
  return leave_token(GUARDED_NETLINK, ret ? ret : judge_messages(sk, skb, protocol));
}
