// What a link is attached to, in the words of a policy (struct bpf_link_info,
// kernel/bpf/syscall.c).
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "base/result.h"

namespace bpfwarden::loader {

// Paths of the cgroups (v2) under /sys/fs/cgroup by id, which is their inode.
using CgroupPaths = std::map<uint64_t, std::string>;
[[nodiscard]] CgroupPaths read_cgroups();

struct LinkTarget {
  std::string kind;    // "xdp", "perf_event", as libbpf names types of links
  std::string attach;  // "xdp@eth0"; what its program fixes at load is not repeated: then empty
};

// `prog_type` of the program on it. Errors: errno of bpf(2); ENOENT if the link went away.
[[nodiscard]] Result<LinkTarget> read_link_target(uint32_t link_id, uint32_t prog_type,
                                                  const CgroupPaths& cgroups);

}  // namespace bpfwarden::loader
