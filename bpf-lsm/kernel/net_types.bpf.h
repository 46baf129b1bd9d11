// Types of the kernel's network, as kernel_types.bpf.h has the others: devices, filters, sockets.
#pragma once

#include "bpf-lsm/kernel/bpf_types.bpf.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct user_namespace;

struct net {
  struct ns_common ns;
  struct user_namespace* user_ns;
  struct hlist_head* dev_index_head;
};

typedef struct {
  struct net* net;
} possible_net_t;

struct bpf_xdp_link;
struct bpf_mprog_entry;

struct bpf_xdp_entity {
  struct bpf_prog* prog;
  struct bpf_xdp_link* link;
};

struct rtnl_link_ops {
  const char* kind;
};

struct net_device {
  int ifindex;
  struct hlist_node index_hlist;
  possible_net_t nd_net;
  char name[16];
  struct bpf_xdp_entity xdp_state[3];
  struct bpf_mprog_entry* tcx_ingress;
  struct bpf_mprog_entry* tcx_egress;
  const struct rtnl_link_ops* rtnl_link_ops;
};

struct net_device___private {
  __u8 priv[0];
};

struct netkit {
  struct net_device* peer;
  struct bpf_mprog_entry* active;
  bool primary;
};

struct bpf_mprog_fp {
  struct bpf_prog* prog;
};

struct bpf_mprog_bundle;

struct bpf_mprog_entry {
  struct bpf_mprog_fp fp_items[64];
  struct bpf_mprog_bundle* parent;
};

struct bpf_mprog_bundle {
  struct bpf_mprog_entry a;
};

struct tcf_proto_ops {
  char kind[16];
};

struct tcf_proto {
  struct tcf_proto* next;
  void* root;
  const struct tcf_proto_ops* ops;
};

struct tcf_chain {
  struct tcf_proto* filter_chain;
  struct list_head list;
};

struct tcf_block {
  struct list_head chain_list;
};

struct tcf_block_ext_info {
  __u32 block_index;
};

struct netdev_queue {
  struct net_device* dev;
};

struct Qdisc {
  struct netdev_queue* dev_queue;
};

struct tc_action_ops {
  char kind[16];
};

struct tc_action {
  const struct tc_action_ops* ops;
};

enum bpf_netdev_command { XDP_SETUP_PROG };

struct netdev_bpf {
  enum bpf_netdev_command command;
  struct bpf_prog* prog;
};

struct mini_Qdisc {
  struct tcf_proto* filter_list;
};

struct tcx_entry {
  struct mini_Qdisc* miniq;
  struct bpf_mprog_bundle bundle;
};

struct bpf_xdp_link {
  struct bpf_link link;
  struct net_device* dev;
};

struct sk_filter {
  struct bpf_prog* prog;
};

struct sock_reuseport {
  struct bpf_prog* prog;
};

struct sock_common {
  __u16 skc_family;
  possible_net_t skc_net;
};

struct sk_buff {
  unsigned int len;
  unsigned char* data;
};

struct sock {
  struct sock_common __sk_common;
  __u16 sk_protocol;
  struct sk_filter* sk_filter;
  struct sock_reuseport* sk_reuseport_cb;
};

struct socket {
  struct sock* sk;
};

struct tcx_link {
  struct bpf_link link;
  struct net_device* dev;
  __u32 location;  // enum bpf_attach_type
};

struct netkit_link {
  struct bpf_link link;
  struct net_device* dev;
  __u32 location;  // likewise
};

struct bpf_netns_link {
  struct bpf_link link;
  enum bpf_attach_type type;
};

struct sockmap_link {
  struct bpf_link link;
  enum bpf_attach_type attach_type;
};

#pragma clang attribute pop
