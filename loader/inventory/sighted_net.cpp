#include "loader/inventory/sighted_net.h"

#include <linux/bpf.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#include <array>
#include <map>

#include "loader/host/netlink.h"
#include "loader/host/network_namespaces.h"
#include "loader/inventory/traffic_control.h"

namespace bpfwarden::loader {
namespace {

struct Numbered {
  uint32_t number;
  const char* text;
};
constexpr auto kXdpModes = std::to_array<Numbered>({{IFLA_XDP_SKB_PROG_ID, "generic"},
                                                    {IFLA_XDP_DRV_PROG_ID, "driver"},
                                                    {IFLA_XDP_HW_PROG_ID, "offload"}});
constexpr auto kOfDevices = std::to_array<Numbered>({{BPF_TCX_INGRESS, "tcx/ingress"},
                                                     {BPF_TCX_EGRESS, "tcx/egress"},
                                                     {BPF_NETKIT_PRIMARY, "netkit/primary"},
                                                     {BPF_NETKIT_PEER, "netkit/peer"}});
constexpr auto kOfNamespaces =
    std::to_array<Numbered>({{BPF_FLOW_DISSECTOR, "flow_dissector"}, {BPF_SK_LOOKUP, "sk_lookup"}});

void add_xdp(const nlattr& xdp, const Device& device, uint64_t network, Sightings& list) {
  nested_attributes(xdp, [&](const nlattr& attribute) {
    for (const Numbered& mode : kXdpModes)
      if (mnl_attr_get_type(&attribute) == mode.number && number_of(attribute) != 0)
        list.found.push_back({.program_id = number_of(attribute),
                              .key = xdp_key(network, device.index),
                              .kind = "xdp",
                              .attach = "xdp@" + device.name,
                              .detail = mode.text,
                              .network = {}});
  });
}

// What a device has to do with bonds.
struct Bonding {
  uint32_t master = 0;
  uint32_t program_id = 0;  // of XDP in the driver
  bool is_bond = false;
};

Bonding bonding_of(const NetlinkMessage& link) {
  Bonding found;
  link.attributes(sizeof(ifinfomsg), [&](const nlattr& attribute) {
    const uint16_t type = mnl_attr_get_type(&attribute);
    if (type == IFLA_MASTER) found.master = number_of(attribute);
    if (type == IFLA_LINKINFO)
      nested_attributes(attribute, [&](const nlattr& inner) {
        if (mnl_attr_get_type(&inner) == IFLA_INFO_KIND) found.is_bond = text_of(inner) == "bond";
      });
    if (type == IFLA_XDP)
      nested_attributes(attribute, [&](const nlattr& inner) {
        if (mnl_attr_get_type(&inner) == IFLA_XDP_DRV_PROG_ID) found.program_id = number_of(inner);
      });
  });
  return found;
}

// A bond has its devices run its program in their drivers, of which they themselves say nothing.
void add_enslaved(const std::vector<Device>& devices, const std::map<uint32_t, Bonding>& bonding,
                  uint64_t network, Sightings& list) {
  for (const Device& device : devices) {
    const auto master = bonding.find(bonding.at(device.index).master);
    if (master == bonding.end() || !master->second.is_bond || master->second.program_id == 0)
      continue;
    list.found.push_back({.program_id = master->second.program_id,
                          .key = xdp_key(network, device.index),
                          .kind = "xdp",
                          .attach = "xdp@" + device.name,
                          .detail = "driver, by its bond",
                          .network = {}});
  }
}

std::vector<Device> read_devices(Netlink& netlink, uint64_t network, Sightings& list) {
  const auto links = netlink.dump(RTM_GETLINK, [](nlmsghdr* header) {
    auto* body = static_cast<ifinfomsg*>(mnl_nlmsg_put_extra_header(header, sizeof(ifinfomsg)));
    body->ifi_family = AF_UNSPEC;
  });
  if (!links) {
    list.missed.push_back(Error(links.error()).within("network devices"));
    return {};
  }
  std::vector<Device> devices;
  std::map<uint32_t, Bonding> bonding;
  for (const NetlinkMessage& link : *links) {
    Device& device = devices.emplace_back();
    device.index = static_cast<uint32_t>(link.body<ifinfomsg>().ifi_index);
    link.attributes(sizeof(ifinfomsg), [&](const nlattr& attribute) {
      if (mnl_attr_get_type(&attribute) == IFLA_IFNAME) device.name = text_of(attribute);
    });
    link.attributes(sizeof(ifinfomsg), [&](const nlattr& attribute) {
      if (mnl_attr_get_type(&attribute) == IFLA_XDP) add_xdp(attribute, device, network, list);
    });
    bonding[device.index] = bonding_of(link);
  }
  add_enslaved(devices, bonding, network, list);
  return devices;
}

void add_of_device(const Device& device, Sightings& list) {
  for (const Numbered& type : kOfDevices) {
    const auto queried = query_programs(static_cast<int>(device.index), type.number);
    if (!queried) {
      list.missed.push_back(Error(queried.error()).within(device.name));
      continue;
    }
    const std::string name = type.text;
    for (const Queried& one : *queried)
      list.found.push_back({.program_id = one.program_id,
                            .key = one.link_id != 0 ? link_key(one.link_id) : std::string(),
                            .kind = name.substr(0, name.find('/')),
                            .attach = name + "@" + device.name,
                            .detail = {},
                            .network = {}});
  }
}

void add_of_namespace(const NetworkNamespace& where, Sightings& list) {
  for (const Numbered& type : kOfNamespaces) {
    const auto queried = query_programs(where.fd.get(), type.number);
    if (!queried) {
      list.missed.push_back(Error(queried.error()).within(type.text));
      continue;
    }
    for (const Queried& one : *queried)
      list.found.push_back({.program_id = one.program_id,
                            .key = netns_key(where.inode, type.number),
                            .kind = "netns",
                            .attach = type.text,
                            .detail = {},
                            .network = {}});
  }
}

void look_around(const NetworkNamespace& where, Sightings& list) {
  add_of_namespace(where, list);
  auto netlink = Netlink::open();
  if (!netlink) {
    list.missed.push_back(std::move(netlink).error());
    return;
  }
  const std::vector<Device> devices = read_devices(*netlink, where.inode, list);
  for (const Device& device : devices) add_of_device(device, list);
  read_traffic_control(*netlink, devices, list);
}

}  // namespace

Sightings sightings_on_networks() {
  Sightings all;
  const auto spaces = find_network_namespaces();
  if (!spaces) {
    all.missed.push_back(spaces.error());
    return all;
  }
  for (const NetworkNamespace& space : *spaces) {
    Sightings here;
    if (auto seen = visit_network(space, [&] { look_around(space, here); }); !seen)
      all.missed.push_back(std::move(seen).error());
    for (Sighting& one : here.found) {
      one.network = space.name;
      all.found.push_back(std::move(one));
    }
    for (Error& error : here.missed)
      all.missed.push_back(space.name.empty() ? std::move(error)
                                              : std::move(error).within(space.name));
  }
  return all;
}

}  // namespace bpfwarden::loader
