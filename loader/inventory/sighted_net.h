// Programs on network devices and in network namespaces: XDP in each of its modes (IFLA_XDP), tcx
// and netkit, traffic control, flow dissectors and sk_lookup. In every network namespace that
// find_network_namespaces() finds.
#pragma once

#include "loader/inventory/sighted.h"

namespace bpfwarden::loader {

[[nodiscard]] Sightings sightings_on_networks();

}  // namespace bpfwarden::loader
