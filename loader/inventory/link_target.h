// What a link is attached to, in the words of a policy (struct bpf_link_info,
// kernel/bpf/syscall.c).
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "base/result.h"
#include "bpf-lsm/abi/inventory.h"

namespace bpfwarden::loader {

// Where cgroups (v2) are mounted: "/sys/fs/cgroup", on a host that also has v1 elsewhere.
[[nodiscard]] const std::string& cgroup_root();

// Paths of the cgroups by id, which is their inode.
using CgroupPaths = std::map<uint64_t, std::string>;
[[nodiscard]] CgroupPaths read_cgroups();

struct LinkTarget {
  std::string kind;  // "xdp", "perf_event", as libbpf names types of links
  std::string
      attach;       // "xdp@eth0"; what its program fixes at load is left out: "@/system.slice", ""
  std::string key;  // of the place, as in sighted.h
};

// `prog_type` of the program on it. Errors: errno of bpf(2); ENOENT if the link went away.
[[nodiscard]] Result<LinkTarget> read_link_target(const bw_listed_link& listed, uint32_t prog_type,
                                                  const CgroupPaths& cgroups);

}  // namespace bpfwarden::loader
