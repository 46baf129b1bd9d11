// Messages of netlink as bytes: the levels of attributes that they are made of, read as the
// kernel's nla_ok() and nla_next() do, and the numbers that netlink_message.h knows. Compiled as
// that is.
#pragma once

#ifdef __bpf__
#include "bpf-lsm/maps.bpf.h"

#define BW_READER __noinline  // global: the verifier walks through each once
#define BW_READ static __always_inline
#define bw_each(i, end) bpf_for(i, 0, end)
#else
#include <linux/bpf.h>

#include <cstring>

#define BW_READER static inline
#define BW_READ static inline
#define bw_each(i, end) for (i = 0; i < (end); i++)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wold-style-cast"
#endif

#define BW_TYPE(type) (1ULL << (type))

// A level of attributes has 16-bit length, so it has no more; nor are more looked at of a message.
#define BW_MAX_ATTRIBUTES 16384
// Of one buffer.
#define BW_MAX_MESSAGES 65536

// include/uapi/linux/{netlink,rtnetlink,if_link,pkt_cls,nexthop,lwtunnel}.h and
// include/uapi/linux/netfilter/{nfnetlink,nf_tables,nf_tables_compat}.h: under names of our own,
// for user space has those headers beside this one.
enum {
  BW_NETLINK_ROUTE = 0,
  BW_NETLINK_NETFILTER = 12,
  BW_NLM_F_CREATE = 0x400,
  BW_NLA_TYPE_MASK = 0x3fff,
  BW_RTM_NEWLINK = 16,
  BW_RTM_DELLINK = 17,
  BW_RTM_SETLINK = 19,
  BW_RTM_NEWROUTE = 24,
  BW_RTM_NEWTFILTER = 44,
  BW_RTM_NEWACTION = 48,
  BW_RTM_NEWNEXTHOP = 104,
  BW_NFT_MSG_NEWRULE = 10 << 8 | 6,  // of NFNL_SUBSYS_NFTABLES
  BW_IFLA_IFNAME = 3,
  BW_IFLA_MASTER = 10,
  BW_IFLA_NET_NS_PID = 19,
  BW_IFLA_NET_NS_FD = 28,
  BW_IFLA_XDP = 43,
  BW_IFLA_TARGET_NETNSID = 46,
  BW_IFLA_NEW_IFINDEX = 49,
  BW_IFLA_XDP_FD = 1,
  BW_IFLA_XDP_EXPECTED_FD = 8,
  BW_TCA_KIND = 1,
  BW_TCA_OPTIONS = 2,
  BW_TCA_ACT_KIND = 1,
  BW_TCA_ACT_TAB = 1,
  BW_RTA_MULTIPATH = 9,
  BW_RTA_ENCAP_TYPE = 21,
  BW_NHA_ENCAP_TYPE = 7,
  BW_LWTUNNEL_ENCAP_BPF = 6,
  BW_LWTUNNEL_ENCAP_SEG6_LOCAL = 7,
  BW_NFTA_RULE_EXPRESSIONS = 4,
  BW_NFTA_EXPR_NAME = 1,
  BW_NFTA_EXPR_DATA = 2,
  BW_NFTA_MATCH_NAME = 1,
};

// Beside the types of program: XDP is taken away, if the program that is named is there.
#define BW_EXPECTS_XDP (1ULL << 63)

#define BW_SHARED_BLOCK 0xffffffff  // TCM_IFINDEX_MAGIC_BLOCK

// struct nlmsghdr, nlattr and rtnexthop, as far as they are read, and their sizes.
struct bw_message_header {
  __u32 length;
  __u16 type;
  __u16 flags;
};

struct bw_attribute {
  __u16 length;
  __u16 type;
};

#define BW_MESSAGE_HEADER 16
#define BW_NEXT_HOP 8

// Attributes, or messages, one after the other: those that are left.
struct bw_level {
  __u64 at;
  __u32 left;
};

// ---- Bytes and levels ---------------------------------------------------------------------------

// Up to 8 bytes, the first in the lowest byte; `to` is set whole. False if they cannot be read. The
// caller has looked that they are in the buffer. In the kernel, a load of 4 bytes that are fewer,
// or of 8, may read on behind the buffer, where the kernel keeps struct skb_shared_info; only a 0
// can stand for what there is not, so that no more is asked about than a 0.
BW_READ bool bw_fetch(__u64* to, __u32 size, __u64 from) {
#ifdef __bpf__
  __u16 half = 0;
  __u32 word = 0;
  *to = 0;
  if (size == sizeof(half)) {
    load_kernel(&half, sizeof(half), (const void*)from);
    *to = half;
  } else if (size <= sizeof(word)) {
    load_kernel(&word, sizeof(word), (const void*)from);
    *to = word & (~0U >> (32 - 8 * size));
  } else {
    load_kernel(to, sizeof(*to), (const void*)from);
    *to &= ~0ULL >> (64 - 8 * size);
  }
  return *to || !bpf_probe_read_kernel(to, size, (const void*)from);
#else
  *to = 0;
  std::memcpy(to, reinterpret_cast<const void*>(from), size);
  return true;
#endif
}

BW_READ void bw_pass(struct bw_level* level, __u32 length) {
  const __u32 step = (length + 3) & ~3U;
  const __u32 whole = step < level->left ? step : level->left;
  level->at += whole;
  level->left -= whole;
}

enum { BW_END, BW_FOUND, BW_UNREADABLE };

// The attribute at the level's beginning, as nla_ok() has it; the payload begins behind it.
BW_READ int bw_first(const struct bw_level* level, struct bw_attribute* found) {
  __u64 length = 0, type = 0;
  if (level->left < sizeof(*found)) return BW_END;
  if (!bw_fetch(&length, sizeof(__u16), level->at)) return BW_UNREADABLE;
  if (length < sizeof(*found) || length > level->left) return BW_END;
  if (!bw_fetch(&type, sizeof(__u16), level->at + sizeof(__u16))) return BW_UNREADABLE;
  found->length = (__u16)length;
  found->type = (__u16)(type & BW_NLA_TYPE_MASK);
  return BW_FOUND;
}

#define bw_payload(level) ((level).at + sizeof(struct bw_attribute))
#define bw_size(attribute) ((__u32)(attribute).length - (__u32)sizeof(struct bw_attribute))

typedef int (*bw_test)(__u64 at, __u32 length);

// Whether any attribute of a level passes the test, which gets its payload; or they cannot all be
// read. Inlined, so that the test is called by its name.
BW_READ int bw_any(__u64 at, __u32 length, bw_test passes) {
  struct bw_level level = {at, length};
  int i;
  bw_each(i, BW_MAX_ATTRIBUTES) {
    struct bw_attribute found = {};
    const int state = bw_first(&level, &found);
    if (state != BW_FOUND) return state == BW_UNREADABLE;
    if (passes(bw_payload(level), bw_size(found))) return 1;
    bw_pass(&level, found.length);
  }
  return 1;
}

// Whether a payload begins with that text of up to 8 characters, of which the first is in the
// lowest byte. A NUL need not follow: the kernel takes its names without, too. More may follow.
BW_READ bool bw_begins(__u64 at, __u32 length, __u64 text, __u32 size) {
  __u64 found = 0;
  return length >= size && (!bw_fetch(&found, size, at) || found == text);
}

#define BW_TEXT_BPF 0x667062ULL
#define BW_TEXT_MATCH 0x686374616dULL

// Whether a level has an attribute of that type that begins so; or cannot be read.
BW_READ bool bw_has_text(__u64 at, __u32 length, __u16 type, __u64 text, __u32 size) {
  struct bw_level level = {at, length};
  int i;
  bw_each(i, BW_MAX_ATTRIBUTES) {
    struct bw_attribute found = {};
    const int state = bw_first(&level, &found);
    if (state != BW_FOUND) return state == BW_UNREADABLE;
    if (found.type == type && bw_begins(bw_payload(level), bw_size(found), text, size)) return true;
    bw_pass(&level, found.length);
  }
  return true;
}

#ifndef __bpf__
#pragma GCC diagnostic pop
#endif
