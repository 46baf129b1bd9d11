// Programs attached to cgroups (v2): asked of each, without BPF_F_QUERY_EFFECTIVE, so that each is
// told where it was attached and not wherever it is in effect (kernel/bpf/cgroup.c).
#pragma once

#include "loader/inventory/link_target.h"
#include "loader/inventory/sighted.h"

namespace bpfwarden::loader {

[[nodiscard]] Sightings sightings_on_cgroups(const CgroupPaths& cgroups);

}  // namespace bpfwarden::loader
