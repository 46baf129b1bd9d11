// The ways to attach a program that do not go through bpf(2): ioctls, socket options, netlink.
#pragma once

#include "bpf-lsm/attach_watch.bpf.h"
#include "bpf-lsm/probe_files.bpf.h"

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
  struct task_note* note = new_attachment(BW_ROUTE_PERF_EVENT);
  if (!note) return refuse_blind(BW_HOOK_ATTACH);
  if (shares_files() && !watch(note, fd, prog)) return refuse_shared(prog);
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
  CAP_NET_ADMIN = 12,
  SOL_IP = 0,
  SOL_SOCKET = 1,
  SOL_IPV6 = 41,
  SOL_PACKET = 263,
  SO_ATTACH_BPF = 50,
  SO_ATTACH_REUSEPORT_EBPF = 52,
  PACKET_FANOUT_DATA = 22,
  IPT_SO_SET_REPLACE = 64,  // of iptables and ip6tables alike: xt_bpf may be among the matches
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

// The types of program that the option may attach.
static __always_inline __u64 types_of_option(int level, int option) {
  if (level == SOL_SOCKET && option == SO_ATTACH_BPF) return ONE_TYPE(BPF_PROG_TYPE_SOCKET_FILTER);
  if (level == SOL_SOCKET && option == SO_ATTACH_REUSEPORT_EBPF)
    return ONE_TYPE(BPF_PROG_TYPE_SOCKET_FILTER) | ONE_TYPE(BPF_PROG_TYPE_SK_REUSEPORT);
  if (level == SOL_PACKET && option == PACKET_FANOUT_DATA)
    return ONE_TYPE(BPF_PROG_TYPE_SOCKET_FILTER);
  if ((level == SOL_IP || level == SOL_IPV6) && option == IPT_SO_SET_REPLACE)
    return ONE_TYPE(BPF_PROG_TYPE_SOCKET_FILTER);
  return 0;
}

SEC("lsm/socket_setsockopt")
int BPF_PROG(attach_setsockopt, struct socket* socket, int level, int option, int ret) {
  const __u64 types = types_of_option(level, option);
  if (ret || !types || !asks_at_attach()) return ret;
  if (!takes_option(socket, level) || (option != IPT_SO_SET_REPLACE && holds_none(types))) return 0;
  if (!new_attachment(BW_ROUTE_SETSOCKOPT)) return refuse_blind(BW_HOOK_ATTACH);
  return judge_held_programs(types);
}

// ---- Netlink ------------------------------------------------------------------------------------

enum {
  NETLINK_ROUTE = 0,
  NETLINK_NETFILTER = 12,
  RTM_NEWLINK = 16,
  RTM_SETLINK = 19,
  RTM_NEWROUTE = 24,
  RTM_NEWTFILTER = 44,
  RTM_NEWACTION = 48,
  RTM_NEWNEXTHOP = 104,
  IFLA_IFNAME = 3,
  IFLA_NET_NS_PID = 19,
  IFLA_NET_NS_FD = 28,
  IFLA_XDP = 43,
  IFLA_TARGET_NETNSID = 46,
  RTA_ENCAP_TYPE = 21,
  NHA_ENCAP_TYPE = 7,
  LWTUNNEL_ENCAP_BPF = 6,
  LWTUNNEL_ENCAP_SEG6_LOCAL = 7,
  NLA_TYPE_MASK = 0x3fff,
  TCM_IFINDEX_MAGIC_BLOCK = 0xffffffff,
};

#define MAX_MESSAGES 64
#define MAX_ATTRIBUTES 256
#define MAX_WORDS 16384  // of a message that are looked at

struct nlmsghdr {
  __u32 nlmsg_len;
  __u16 nlmsg_type;
  __u16 nlmsg_flags;
  __u32 nlmsg_seq;
  __u32 nlmsg_pid;
};

struct nlattr {
  __u16 nla_len;
  __u16 nla_type;
};

// What follows the header of a link's and of a filter's message; both have the device's number
// here.
struct device_message {
  __u32 family;
  __u32 ifindex;
};

static const __u64 kRouteTypes = ONE_TYPE(BPF_PROG_TYPE_LWT_IN) | ONE_TYPE(BPF_PROG_TYPE_LWT_OUT) |
                                 ONE_TYPE(BPF_PROG_TYPE_LWT_XMIT) |
                                 ONE_TYPE(BPF_PROG_TYPE_LWT_SEG6LOCAL);

// The types of program that a message of this type may attach.
static __always_inline __u64 types_of_message(__u16 protocol, __u16 type) {
  if (protocol == NETLINK_NETFILTER) return ONE_TYPE(BPF_PROG_TYPE_SOCKET_FILTER);  // xt_bpf
  switch (type) {
    case RTM_NEWLINK:
    case RTM_SETLINK:
      return ONE_TYPE(BPF_PROG_TYPE_XDP);
    case RTM_NEWTFILTER:
      return ONE_TYPE(BPF_PROG_TYPE_SCHED_CLS) | ONE_TYPE(BPF_PROG_TYPE_SCHED_ACT);
    case RTM_NEWACTION:
      return ONE_TYPE(BPF_PROG_TYPE_SCHED_ACT);
    case RTM_NEWROUTE:
    case RTM_NEWNEXTHOP:
      return kRouteTypes;
    default:
      return 0;
  }
}

static __always_inline bool is_encapsulation(__u32 word, __u32 next) {
  const __u32 type = (word >> 16) & NLA_TYPE_MASK, kind = next & 0xffff;
  return (type == RTA_ENCAP_TYPE || type == NHA_ENCAP_TYPE) &&
         (kind == LWTUNNEL_ENCAP_BPF || kind == LWTUNNEL_ENCAP_SEG6_LOCAL);
}

// Whether two words of a message, which may be anywhere in it, can belong to an attribute that
// attaches a program. The attributes nest too deep to walk; each begins at a word.
static __always_inline bool can_attach(__u64 types, __u32 word, __u32 next) {
  if (types == ONE_TYPE(BPF_PROG_TYPE_XDP)) return ((word >> 16) & NLA_TYPE_MASK) == IFLA_XDP;
  if (types == kRouteTypes) return is_encapsulation(word, next);
  return (word & 0xffffff) == ('b' | 'p' << 8 | 'f' << 16);  // the kind of a filter, action, match
}

// Global, as judge_attachment() is: `data` is the address of the message's attributes.
__noinline int may_attach(__u64 data, __u32 length, __u64 types) {
  const __u32 words = length / 4;
  int i;
  if (words > MAX_WORDS) return 1;
  bpf_for(i, 0, (int)words) {
    __u64 pair = 0;
    const __u32 size = (__u32)i + 1 < words ? 8 : 4;
    if (bpf_probe_read_kernel(&pair, size, (const void*)(data + 4 * (__u64)i))) return 1;
    if (can_attach(types, pair, pair >> 32)) return 1;
  }
  return 0;
}

#define LINK_HEADER_SIZE 32  // that of the message, and struct ifinfomsg

// Whether a message about a link gives the device another name or another network namespace, which
// the kernel does before it attaches; or says that its number is of another one. Returns 0 or 1.
__noinline int moves_device(__u64 data, __u32 length, __u32 type) {
  int i;
  if (type != RTM_NEWLINK && type != RTM_SETLINK) return 0;
  if (length < LINK_HEADER_SIZE) return 0;
  data += LINK_HEADER_SIZE;
  length -= LINK_HEADER_SIZE;
  bpf_for(i, 0, MAX_ATTRIBUTES) {
    struct nlattr attribute = {};
    if (length < sizeof(attribute)) return 0;
    if (bpf_probe_read_kernel(&attribute, sizeof(attribute), (const void*)data)) return 1;
    const __u16 kind = attribute.nla_type & NLA_TYPE_MASK;
    if (kind == IFLA_IFNAME || kind == IFLA_NET_NS_PID || kind == IFLA_NET_NS_FD ||
        kind == IFLA_TARGET_NETNSID)
      return 1;
    const __u32 step = (attribute.nla_len + 3) & ~3U;
    if (attribute.nla_len < sizeof(attribute) || step >= length) return 0;
    data += step;
    length -= step;
  }
  return 1;
}

// Where a message puts programs: a device that it names by its number. By another way, of a shared
// block, or after a message that moves a device: anywhere, 0. `has_moved` is 0 or 1, and no branch,
// for which the verifier would walk through all that follows once more.
static __always_inline __u32 device_of_message(__u16 type, const struct device_message* message,
                                               __u32 has_moved) {
  if (type != RTM_NEWLINK && type != RTM_SETLINK && type != RTM_NEWTFILTER) return 0;
  if (message->ifindex == TCM_IFINDEX_MAGIC_BLOCK) return 0;
  return message->ifindex & (has_moved - 1);
}

// One more than there is room for stands for all that are left: of any type, anywhere.
__noinline int note_destination(__u64 types, __u32 ifindex, __u32 attach_type) {
  struct task_note* note = task_note(0);
  int i;
  if (!note) return 0;
  bpf_for(i, 0, (int)note->destination_count) {
    const struct destination* known = &note->destinations[i & (MAX_DESTINATIONS - 1)];
    if (known->types == types && known->ifindex == ifindex && known->attach_type == attach_type)
      return 0;
  }
  const bool is_full = note->destination_count >= MAX_DESTINATIONS;
  const __u32 last = is_full ? MAX_DESTINATIONS - 1 : note->destination_count++;
  struct destination* to = &note->destinations[last & (MAX_DESTINATIONS - 1)];
  to->types = is_full ? ~0ULL : types;
  to->ifindex = is_full ? 0 : ifindex;
  to->attach_type = is_full ? 0 : attach_type;
  return 0;
}

// What one message may attach; `length` is what is left of the buffer.
static __always_inline __u64 types_in_message(__u64 data, const struct nlmsghdr* header,
                                              __u32 length, __u32 protocol, __u32 has_moved,
                                              __u32 notes) {
  const __u64 types = types_of_message(protocol, header->nlmsg_type);
  const __u32 whole = header->nlmsg_len < length ? header->nlmsg_len : length;
  struct device_message message = {};
  if (!types || whole < sizeof(*header) + sizeof(message)) return 0;
  if (bpf_probe_read_kernel(&message, sizeof(message), (const void*)(data + sizeof(*header))))
    return 0;
  if (!may_attach(data + sizeof(*header), whole - sizeof(*header), types)) return 0;
  if (notes)
    note_destination(types, device_of_message(header->nlmsg_type, &message, has_moved),
                     types == ONE_TYPE(BPF_PROG_TYPE_XDP) ? BPF_XDP : 0);
  return types;
}

// What all messages of a buffer may attach. `notes`: 1 if the task's note is to say where.
__noinline __u64 types_in_buffer(__u64 data, __u32 left, __u32 protocol, __u32 notes) {
  __u64 types = 0;
  __u32 has_moved = 0;
  int i;
  bpf_for(i, 0, MAX_MESSAGES) {
    struct nlmsghdr header = {};
    if (left < sizeof(header)) return types;
    if (bpf_probe_read_kernel(&header, sizeof(header), (const void*)data)) return types;
    const __u32 whole = header.nlmsg_len < left ? header.nlmsg_len : left;
    has_moved |= moves_device(data, whole, header.nlmsg_type);
    types |= types_in_message(data, &header, left, protocol, has_moved, notes);
    const __u32 step = (header.nlmsg_len + 3) & ~3U;
    if (header.nlmsg_len < sizeof(header) || step >= left) return types;
    data += step;
    left -= step;
  }
  if (notes) note_destination(~0ULL, 0, 0);  // more messages than are looked at
  return ~0ULL;
}

// The kernel has its own copy of the messages already, and handles them within this call. What the
// caller has open is looked through once, however many they are.
SEC("lsm/netlink_send")
int BPF_PROG(attach_netlink, struct sock* sk, struct sk_buff* skb, int ret) {
  const __u16 protocol = BPF_CORE_READ(sk, sk_protocol);
  if (ret || (protocol != NETLINK_ROUTE && protocol != NETLINK_NETFILTER)) return ret;
  if (!may_administer(sk) || !asks_at_attach()) return 0;
  const __u64 data = (__u64)BPF_CORE_READ(skb, data);
  const __u32 length = BPF_CORE_READ(skb, len);
  const __u64 types = types_in_buffer(data, length, protocol, 0);
  if (!types || (protocol != NETLINK_NETFILTER && holds_none(types))) return 0;
  struct task_note* note = new_attachment(BW_ROUTE_NETLINK);
  if (!note) return refuse_blind(BW_HOOK_ATTACH);
  note->net = (__u64)BPF_CORE_READ(sk, __sk_common.skc_net.net);
  types_in_buffer(data, length, protocol, 1);
  return judge_held_programs(types);
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
  const __u8 watched = at->watched;
  at->watched = 0;
  const int error = judge_attachment(address);
  at->watched = watched;
  return error ? -EPERM : 0;
}
