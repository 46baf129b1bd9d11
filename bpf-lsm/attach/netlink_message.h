// Reads messages of netlink as the kernel reads them, and says which types of BPF program each may
// make active, where, and whether it moves devices.
//
// What it says "none" of is proved to carry no program: a kind of filter that is there and is not
// bpf, with no action of that kind; a route without an encapsulation that runs programs; a rule
// without the match `bpf`. All else may carry one: no kind, something that cannot be read, more
// than is looked at. Of a filter's kinds the last one counts, as for nla_parse(); of all else that
// there can be two of, each does.
//
// Compiled by clang into warden.bpf.c and by g++ into the tests, which hold it to a kernel. Pure:
// what it is handed are addresses, which bw_fetch() of netlink_level.h alone reads. The kernel's
// own copy of the messages is what it reads in warden.bpf.c, and nobody can change that meanwhile.
#pragma once

#include "bpf-lsm/attach/netlink_level.h"

#ifndef __bpf__
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wold-style-cast"
#endif

static const __u64 kRouteTypes = BW_TYPE(BPF_PROG_TYPE_LWT_IN) | BW_TYPE(BPF_PROG_TYPE_LWT_OUT) |
                                 BW_TYPE(BPF_PROG_TYPE_LWT_XMIT) |
                                 BW_TYPE(BPF_PROG_TYPE_LWT_SEG6LOCAL);
static const __u64 kFilterTypes =
    BW_TYPE(BPF_PROG_TYPE_SCHED_CLS) | BW_TYPE(BPF_PROG_TYPE_SCHED_ACT);

// ---- tc -----------------------------------------------------------------------------------------

// Of a filter, an action, a match: its kind is bpf.
BW_READER int bw_is_kind_bpf(__u64 at, __u32 length) {
  return bw_has_text(at, length, BW_TCA_ACT_KIND, BW_TEXT_BPF, 3);
}

// A table of actions, numbered by their types. One without a kind is refused by the kernel.
BW_READER int bw_has_bpf_action(__u64 at, __u32 length) {
  return bw_any(at, length, bw_is_kind_bpf);
}

// Two headers, and `bpf` without NUL.
#define BW_SMALLEST_TABLE (2 * sizeof(struct bw_attribute) + 3)

BW_READ int bw_may_be_bpf_table(__u64 at, __u32 length) {
  return length >= BW_SMALLEST_TABLE && bw_has_bpf_action(at, length);
}

// The options of a filter, whatever its kind: any of them may be its table of actions.
BW_READER int bw_options_have_bpf_action(__u64 at, __u32 length) {
  return bw_any(at, length, bw_may_be_bpf_table);
}

// A filter without a kind is of that which is there already. Of one whose kind is another than
// that, the kernel takes nothing.
BW_READER __u64 bw_types_of_filter(__u64 at, __u32 length) {
  struct bw_level level = {at, length};
  bool is_other = false;
  __u64 actions = 0;
  int i;
  bw_each(i, BW_MAX_ATTRIBUTES) {
    struct bw_attribute found = {};
    const int state = bw_first(&level, &found);
    if (state == BW_UNREADABLE) return kFilterTypes;
    if (state == BW_END) return actions | (is_other ? 0 : BW_TYPE(BPF_PROG_TYPE_SCHED_CLS));
    const __u64 payload = bw_payload(level);
    const __u32 size = bw_size(found);
    if (found.type == BW_TCA_KIND) is_other = !bw_begins(payload, size, BW_TEXT_BPF, 3);
    if (found.type == BW_TCA_OPTIONS && bw_options_have_bpf_action(payload, size))
      actions = BW_TYPE(BPF_PROG_TYPE_SCHED_ACT);
    bw_pass(&level, found.length);
  }
  return kFilterTypes;
}

BW_READER __u64 bw_types_of_action(__u64 at, __u32 length) {
  struct bw_level level = {at, length};
  int i;
  bw_each(i, BW_MAX_ATTRIBUTES) {
    struct bw_attribute found = {};
    const int state = bw_first(&level, &found);
    if (state == BW_END) return 0;
    if (state == BW_UNREADABLE) break;
    if (found.type == BW_TCA_ACT_TAB && bw_has_bpf_action(bw_payload(level), bw_size(found))) break;
    bw_pass(&level, found.length);
  }
  return BW_TYPE(BPF_PROG_TYPE_SCHED_ACT);
}

// ---- Routes -------------------------------------------------------------------------------------

BW_READ bool bw_runs_programs(__u64 at, __u32 length) {
  __u64 kind = 0;
  if (length < sizeof(__u16)) return false;
  return !bw_fetch(&kind, sizeof(__u16), at) || kind == BW_LWTUNNEL_ENCAP_BPF ||
         kind == BW_LWTUNNEL_ENCAP_SEG6_LOCAL;
}

// Whether a level has an encapsulation that runs programs; its type is that of attributes `type`.
BW_READER int bw_is_encapsulated(__u64 at, __u32 length, __u32 type) {
  struct bw_level level = {at, length};
  int i;
  bw_each(i, BW_MAX_ATTRIBUTES) {
    struct bw_attribute found = {};
    const int state = bw_first(&level, &found);
    if (state != BW_FOUND) return state == BW_UNREADABLE;
    if (found.type == type && bw_runs_programs(bw_payload(level), bw_size(found))) return 1;
    bw_pass(&level, found.length);
  }
  return 1;
}

// As rtnh_ok() and rtnh_next() have them.
BW_READER int bw_hops_are_encapsulated(__u64 at, __u32 length) {
  struct bw_level level = {at, length};
  int i;
  bw_each(i, BW_MAX_ATTRIBUTES) {
    __u64 length_of_hop = 0;
    if (level.left < BW_NEXT_HOP) return 0;
    if (!bw_fetch(&length_of_hop, sizeof(__u16), level.at)) return 1;
    if (length_of_hop < BW_NEXT_HOP || length_of_hop > level.left) return 0;
    const __u32 size = (__u32)length_of_hop - BW_NEXT_HOP;
    if (bw_is_encapsulated(level.at + BW_NEXT_HOP, size, BW_RTA_ENCAP_TYPE)) return 1;
    bw_pass(&level, (__u32)length_of_hop);
  }
  return 1;
}

BW_READER __u64 bw_types_of_route(__u64 at, __u32 length) {
  struct bw_level level = {at, length};
  int i;
  bw_each(i, BW_MAX_ATTRIBUTES) {
    struct bw_attribute found = {};
    const int state = bw_first(&level, &found);
    if (state == BW_END) return 0;
    if (state == BW_UNREADABLE) break;
    const __u64 payload = bw_payload(level);
    const __u32 size = bw_size(found);
    if (found.type == BW_RTA_ENCAP_TYPE && bw_runs_programs(payload, size)) break;
    if (found.type == BW_RTA_MULTIPATH && bw_hops_are_encapsulated(payload, size)) break;
    bw_pass(&level, found.length);
  }
  return kRouteTypes;
}

// ---- Links --------------------------------------------------------------------------------------

enum { BW_LINK_XDP = 1, BW_LINK_MOVES = 2, BW_LINK_EXPECTS = 4 };

// BW_LINK_XDP if one that is to be attached is named: a negative number takes away. If not,
// BW_LINK_EXPECTS if one is named that is to be there before.
BW_READER int bw_read_xdp(__u64 at, __u32 length) {
  struct bw_level level = {at, length};
  int expects = 0, i;
  bw_each(i, BW_MAX_ATTRIBUTES) {
    struct bw_attribute found = {};
    __u64 number = 0;
    const int state = bw_first(&level, &found);
    if (state == BW_END) return expects;
    if (state == BW_UNREADABLE) break;
    if (found.type == BW_IFLA_XDP_EXPECTED_FD) expects = BW_LINK_EXPECTS;
    if (found.type == BW_IFLA_XDP_FD && bw_size(found) >= sizeof(__s32) &&
        (!bw_fetch(&number, sizeof(__s32), bw_payload(level)) || (__s32)number >= 0))
      break;
    bw_pass(&level, found.length);
  }
  return BW_LINK_XDP;
}

BW_READ bool bw_moves(__u16 type) {
  return type == BW_IFLA_IFNAME || type == BW_IFLA_MASTER || type == BW_IFLA_NET_NS_PID ||
         type == BW_IFLA_NET_NS_FD || type == BW_IFLA_TARGET_NETNSID || type == BW_IFLA_NEW_IFINDEX;
}

// BW_LINK_*. Another name, network namespace or number is what the kernel gives a device before it
// attaches to it; or its number is that of another one.
BW_READER int bw_read_link(__u64 at, __u32 length) {
  struct bw_level level = {at, length};
  int does = 0, i;
  bw_each(i, BW_MAX_ATTRIBUTES) {
    struct bw_attribute found = {};
    const int state = bw_first(&level, &found);
    if (state == BW_END) return does;
    if (state == BW_UNREADABLE) break;
    if (bw_moves(found.type)) does |= BW_LINK_MOVES;
    if (found.type == BW_IFLA_XDP) does |= bw_read_xdp(bw_payload(level), bw_size(found));
    bw_pass(&level, found.length);
  }
  return BW_LINK_XDP | BW_LINK_MOVES;
}

// ---- Rules of nftables --------------------------------------------------------------------------

// The match `bpf` of iptables (xt_bpf), in a rule of nftables.
BW_READER int bw_is_bpf_match(__u64 at, __u32 length) {
  struct bw_level level = {at, length};
  bool is_match = false, is_bpf = false;
  int i;
  bw_each(i, BW_MAX_ATTRIBUTES) {
    struct bw_attribute found = {};
    const int state = bw_first(&level, &found);
    if (state == BW_UNREADABLE) return 1;
    if (state == BW_END) return is_match && is_bpf;
    const __u64 payload = bw_payload(level);
    const __u32 size = bw_size(found);
    if (found.type == BW_NFTA_EXPR_NAME && bw_begins(payload, size, BW_TEXT_MATCH, 5))
      is_match = true;
    if (found.type == BW_NFTA_EXPR_DATA && bw_is_kind_bpf(payload, size)) is_bpf = true;
    bw_pass(&level, found.length);
  }
  return 1;
}

BW_READER int bw_has_bpf_match(__u64 at, __u32 length) {
  return bw_any(at, length, bw_is_bpf_match);
}

BW_READER __u64 bw_types_of_rule(__u64 at, __u32 length) {
  struct bw_level level = {at, length};
  int i;
  bw_each(i, BW_MAX_ATTRIBUTES) {
    struct bw_attribute found = {};
    const int state = bw_first(&level, &found);
    if (state == BW_END) return 0;
    if (state == BW_UNREADABLE) break;
    if (found.type == BW_NFTA_RULE_EXPRESSIONS &&
        bw_has_bpf_match(bw_payload(level), bw_size(found)))
      break;
    bw_pass(&level, found.length);
  }
  return BW_TYPE(BPF_PROG_TYPE_SOCKET_FILTER);
}

// ---- Messages -----------------------------------------------------------------------------------

// What one message does.
struct bw_message {
  __u64 types;    // of program that it may make active; a bit for each enum bpf_prog_type
  __u32 ifindex;  // of the device that they go to; 0: anywhere
  __u32 moves;    // 1: no message after it is at a known place; it neither
};

// What follows the header of the message: struct ifinfomsg, tcmsg, … 0: of no interest.
BW_READ __u32 bw_size_of_body(__u32 protocol, __u16 type) {
  if (protocol == BW_NETLINK_NETFILTER) return type == BW_NFT_MSG_NEWRULE ? 4 : 0;
  switch (type) {
    case BW_RTM_NEWLINK:
    case BW_RTM_DELLINK:
    case BW_RTM_SETLINK:
      return 16;
    case BW_RTM_NEWTFILTER:
      return 20;
    case BW_RTM_NEWACTION:
      return 4;
    case BW_RTM_NEWROUTE:
      return 12;
    case BW_RTM_NEWNEXTHOP:
      return 8;
    default:
      return 0;
  }
}

BW_READ __u64 bw_types_of_attributes(__u32 protocol, __u16 type, __u64 at, __u32 length) {
  if (protocol == BW_NETLINK_NETFILTER) return bw_types_of_rule(at, length);
  switch (type) {
    case BW_RTM_NEWTFILTER:
      return bw_types_of_filter(at, length);
    case BW_RTM_NEWACTION:
      return bw_types_of_action(at, length);
    case BW_RTM_NEWROUTE:
      return bw_types_of_route(at, length);
    case BW_RTM_NEWNEXTHOP:
      return bw_is_encapsulated(at, length, BW_NHA_ENCAP_TYPE) ? kRouteTypes : 0;
    default:
      return 0;
  }
}

BW_READ bool bw_is_about_link(__u16 type) {
  return type == BW_RTM_NEWLINK || type == BW_RTM_SETLINK;
}

// The header is in the buffer, and so are as many bytes as it says.
BW_READ struct bw_message bw_read_message(__u64 at, const struct bw_message_header* header,
                                          __u32 protocol) {
  struct bw_message does = {0, 0, 0};
  const __u16 type = header->type;
  const __u32 body = bw_size_of_body(protocol, type), before = BW_MESSAGE_HEADER + body;
  if (!body || header->length < before) return does;
  at += BW_MESSAGE_HEADER;
  if (type == BW_RTM_DELLINK) {
    does.moves = protocol == BW_NETLINK_ROUTE;
  } else if (protocol == BW_NETLINK_ROUTE && bw_is_about_link(type)) {
    const int link = bw_read_link(at + body, header->length - before);
    const bool makes = type == BW_RTM_NEWLINK && (header->flags & BW_NLM_F_CREATE);
    if (link & BW_LINK_XDP) does.types = BW_TYPE(BPF_PROG_TYPE_XDP);
    if (link & BW_LINK_EXPECTS) does.types |= BW_EXPECTS_XDP;
    does.moves = (link & BW_LINK_MOVES) || makes;
  } else {
    does.types = bw_types_of_attributes(protocol, type, at + body, header->length - before);
  }
  if (!does.types || protocol != BW_NETLINK_ROUTE) return does;
  if (!bw_is_about_link(type) && type != BW_RTM_NEWTFILTER) return does;
  // Both have the device's number behind their first word.
  __u64 ifindex = 0;
  if (bw_fetch(&ifindex, sizeof(does.ifindex), at + 4) && ifindex != BW_SHARED_BLOCK)
    does.ifindex = (__u32)ifindex;
  return does;
}

// The next message of a buffer, as netlink_rcv_skb() and nfnetlink_rcv_batch() have it.
BW_READ int bw_first_message(const struct bw_level* buffer, struct bw_message_header* header) {
  __u64 length = 0, kind = 0;
  if (buffer->left < BW_MESSAGE_HEADER) return BW_END;
  if (!bw_fetch(&length, sizeof(__u32), buffer->at)) return BW_UNREADABLE;
  if (length < BW_MESSAGE_HEADER || length > buffer->left) return BW_END;
  if (!bw_fetch(&kind, sizeof(__u32), buffer->at + sizeof(__u32))) return BW_UNREADABLE;
  header->length = (__u32)length;
  header->type = (__u16)kind;
  header->flags = (__u16)(kind >> 16);
  return BW_FOUND;
}

// What all messages of a buffer may make active, and BW_EXPECTS_XDP. `notes` is 1 if the includer's
// note_destination(types, ifindex) is to be told where.
BW_READER __u64 bw_types_in_buffer(__u64 at, __u32 length, __u32 protocol, __u32 notes) {
  struct bw_level buffer = {at, length};
  __u32 has_moved = 0;
  __u64 types = 0;
  int i;
  bw_each(i, BW_MAX_MESSAGES) {
    struct bw_message_header header = {};
    const int state = bw_first_message(&buffer, &header);
    if (state == BW_END) return types;
    if (state == BW_UNREADABLE) break;
    const struct bw_message does = bw_read_message(buffer.at, &header, protocol);
    has_moved |= does.moves;
    types |= does.types;
    // No branch on has_moved, for which the verifier would walk through all that follows once more.
    if (notes && does.types) note_destination(does.types, does.ifindex & (has_moved - 1));
    bw_pass(&buffer, header.length);
  }
  if (notes) note_destination(~0ULL, 0);  // not all could be read
  return ~0ULL;
}

#ifndef __bpf__
#pragma GCC diagnostic pop
#endif
