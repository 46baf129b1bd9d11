// Programs attached to cgroups (v2): asked of each, without BPF_F_QUERY_EFFECTIVE, so that each is
// told where it was attached and not wherever it is in effect (kernel/bpf/cgroup.c).
#pragma once

#include "loader/inventory/attached.h"
#include "loader/inventory/link_target.h"

namespace bpfwarden::loader {

[[nodiscard]] AttachedList read_attached_to_cgroups(const CgroupPaths& cgroups);

}  // namespace bpfwarden::loader
