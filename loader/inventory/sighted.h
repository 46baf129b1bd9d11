// Where the kernel says that programs are, link or no link: what sighted_net, sighted_cgroup,
// sighted_map and sighted_file find, and how a link and such a place are told to be one.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace bpfwarden::loader {

// One program at one place.
struct Sighting {
  uint32_t program_id = 0;
  std::string key;          // names the place; the link that holds a program there has the same
  std::string kind;         // as bpftool and libbpf name types of links, or of maps
  std::string attach;       // "xdp@eth0"; what the program's load fixes is put before "@…" and ""
  std::string detail;       // "generic", "clsact/ingress pref 49152"; may be empty
  std::string network;      // network namespace; empty for the caller's
  bool needs_link = false;  // prepared: it is attached only if a link has the same key
};

// What can be looked at, and for the rest why not: errno of the call that failed.
struct Sightings {
  std::vector<Sighting> found;
  std::vector<Error> missed;
};

// Keys. `type`: enum bpf_attach_type.
[[nodiscard]] std::string cgroup_key(uint64_t cgroup, uint32_t type);
[[nodiscard]] std::string netns_key(uint64_t inode, uint32_t type);
[[nodiscard]] std::string xdp_key(uint64_t inode, uint32_t device);
[[nodiscard]] std::string map_key(uint32_t map, uint32_t type);
[[nodiscard]] std::string struct_ops_key(uint32_t map);
[[nodiscard]] std::string event_key(uint64_t event);
[[nodiscard]] std::string link_key(uint32_t link);  // where the kernel itself names the link

// What BPF_PROG_QUERY tells for a file descriptor or a device's index. Nothing, for a type that the
// kernel does not know there, and for what went away. Errors: any other errno.
struct Queried {
  uint32_t program_id = 0;
  uint32_t link_id = 0;  // of tcx and netkit; 0: no link, or not told
  uint32_t flags = 0;    // BPF_F_ALLOW_*
};
[[nodiscard]] Result<std::vector<Queried>> query_programs(int target, uint32_t type);

}  // namespace bpfwarden::loader
