// BPF in traffic control (net/sched): cls_bpf filters on clsact, ingress and classful qdiscs, and
// act_bpf actions of any filter or of none. For the network namespace of the calling thread.
#pragma once

#include "loader/host/netlink.h"
#include "loader/inventory/sighted.h"

namespace bpfwarden::loader {

struct Device {
  uint32_t index = 0;
  std::string name;
};

// Adds to `list`, without a network's name.
void read_traffic_control(Netlink& netlink, const std::vector<Device>& devices, Sightings& list);

}  // namespace bpfwarden::loader
