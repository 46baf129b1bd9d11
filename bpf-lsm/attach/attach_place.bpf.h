// Names of the places where programs are attached: network devices and cgroups. What cannot be read
// stays unknown.
#pragma once

#include "bpf-lsm/kernel/net_types.bpf.h"
#include "bpf-lsm/open_file.bpf.h"

extern const void init_net __ksym __weak;

#define CGROUP2_SUPER_MAGIC 0x63677270
#define NETDEV_HASHENTRIES 256  // include/net/net_namespace.h
#define MAX_HASH_CHAIN 1024

// `size` is what a printing helper has returned.
static __always_inline void set_length(struct bw_name* name, long size) {
  if (size <= 1 || size > BW_NAME_SIZE) return;
  name->length = size - 1;
  name->known = 1;
}

// Into note->attachment.place. Devices of other network namespaces than the first are named with
// theirs. This and what follows are global functions, which the verifier walks through once; they
// are handed addresses.
__noinline int name_device(__u64 address) {
  struct net_device* device = (struct net_device*)address;
  struct net* net = device ? BPF_CORE_READ(device, nd_net.net) : 0;
  struct task_note* note = task_note(0);
  char name[16] = {};
  if (!note || !net || bpf_probe_read_kernel_str(name, sizeof(name), device->name) <= 1) return 0;
  struct bw_name* place = &note->attachment.place;
  if (net == &init_net)
    set_length(place, BPF_SNPRINTF((char*)place->bytes, BW_NAME_SIZE, "%s", name));
  else
    set_length(place, BPF_SNPRINTF((char*)place->bytes, BW_NAME_SIZE, "netns:%u/%s",
                                   BPF_CORE_READ(net, ns.inum), name));
  return 0;
}

// The device of that number in a network namespace.
__noinline int name_device_in(__u64 net, __u32 ifindex) {
  struct hlist_head* heads = net ? BPF_CORE_READ((struct net*)net, dev_index_head) : 0;
  struct hlist_node* node = 0;
  int i;
  if (!heads) return 0;
  if (bpf_probe_read_kernel(&node, sizeof(node), heads + (ifindex & (NETDEV_HASHENTRIES - 1))))
    return 0;
  bpf_for(i, 0, MAX_HASH_CHAIN) {
    if (!node) return 0;
    struct net_device* device = (void*)node - bpf_core_field_offset(struct net_device, index_hlist);
    if (BPF_CORE_READ(device, ifindex) == (int)ifindex) return name_device((__u64)device);
    node = BPF_CORE_READ(node, next);
  }
  return 0;
}

// The device that the calling task means by its number.
static __always_inline void name_device_at(__u32 ifindex) {
  name_device_in((__u64)BPF_CORE_READ(bpf_get_current_task_btf(), nsproxy, net_ns), ifindex);
}

static __always_inline void name_cgroup(struct task_note* note, struct kernfs_node* node) {
  read_cgroup_path(note, (__u64)node);
  if (note->paths.joined.known) note->attachment.place = note->paths.joined;
}

// The cgroup whose folder is open. Returns what the kernel has of it; null if it is none.
static __always_inline struct kernfs_node* name_cgroup_of(struct task_note* note, __u32 fd) {
  struct inode* inode = BPF_CORE_READ(open_file(fd), f_inode);
  if (!inode || BPF_CORE_READ(inode, i_sb, s_magic) != CGROUP2_SUPER_MAGIC) return 0;
  struct kernfs_node* node = BPF_CORE_READ(inode, i_private);
  name_cgroup(note, node);
  return node;
}

// Of a link that can get another program. All other kinds keep to the program's own.
static __always_inline __u32 attach_type_of(struct bpf_link* link) {
  if (BW_KERNEL_HAS(link_attach_type)) return BPF_CORE_READ(link, attach_type);
  switch (BPF_CORE_READ(link, type)) {
    case BPF_LINK_TYPE_CGROUP:
      return BW_KERNEL_HAS(cgroup_link) ? BPF_CORE_READ((struct bpf_cgroup_link*)link, type) : 0;
    case BPF_LINK_TYPE_XDP:
      return BPF_XDP;
    case BPF_LINK_TYPE_TCX:
      return BW_KERNEL_HAS(tcx_link) ? BPF_CORE_READ((struct tcx_link*)link, location) : 0;
    case BPF_LINK_TYPE_NETKIT:
      return BW_KERNEL_HAS(netkit_link) ? BPF_CORE_READ((struct netkit_link*)link, location) : 0;
    case BPF_LINK_TYPE_NETNS:
      return BW_KERNEL_HAS(netns_link) ? BPF_CORE_READ((struct bpf_netns_link*)link, type) : 0;
    case BPF_LINK_TYPE_SOCKMAP:
      return BW_KERNEL_HAS(sockmap_link) ? BPF_CORE_READ((struct sockmap_link*)link, attach_type)
                                         : 0;
    default:
      return BPF_CORE_READ(link, prog, expected_attach_type);
  }
}

// The link of a program at the peer has the peer; it was attached by the primary's number.
static __always_inline struct net_device* named_netkit(struct bpf_link* link) {
  struct net_device* device = BPF_CORE_READ((struct netkit_link*)link, dev);
  if (attach_type_of(link) != BPF_NETKIT_PEER) return device;
  struct netkit* private = (void*)device + bpf_core_field_offset(struct net_device___private, priv);
  return BPF_CORE_READ(private, peer);
}

static __always_inline void name_place_of_link(struct task_note* note, struct bpf_link* link) {
  const enum bpf_link_type type = BPF_CORE_READ(link, type);
  if (type == BPF_LINK_TYPE_XDP && BW_KERNEL_HAS(xdp_link))
    name_device((__u64)BPF_CORE_READ((struct bpf_xdp_link*)link, dev));
  else if (type == BPF_LINK_TYPE_TCX && BW_KERNEL_HAS(tcx_link))
    name_device((__u64)BPF_CORE_READ((struct tcx_link*)link, dev));
  else if (type == BPF_LINK_TYPE_NETKIT && BW_KERNEL_HAS(netkit_link))
    name_device((__u64)named_netkit(link));
  else if (type == BPF_LINK_TYPE_CGROUP && BW_KERNEL_HAS(cgroup_link))
    name_cgroup(note, BPF_CORE_READ((struct bpf_cgroup_link*)link, cgroup, kn));
}
