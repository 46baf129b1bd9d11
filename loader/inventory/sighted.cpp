#include "loader/inventory/sighted.h"

#include <bpf/bpf.h>

#include <algorithm>
#include <cerrno>

namespace bpfwarden::loader {
namespace {

std::string key(const char* kind, uint64_t where, uint64_t what) {
  return std::string(kind) + " " + std::to_string(where) + " " + std::to_string(what);
}

bool is_gone(int code) { return code == ENODEV || code == ENOENT; }

// EINVAL and EOPNOTSUPP: the kernel does not know the type. ENXIO: netkit, on what is no netkit
// device. EBUSY: a sockmap's verdict excludes the stream verdict, and there is one; or the reverse.
bool cannot_be_there(int code) {
  return code == EINVAL || code == EOPNOTSUPP || code == ENXIO || code == EBUSY;
}

bool tells_links(uint32_t type) {
  return type == BPF_TCX_INGRESS || type == BPF_TCX_EGRESS || type == BPF_NETKIT_PRIMARY ||
         type == BPF_NETKIT_PEER;
}

std::vector<Queried> zip(const std::vector<uint32_t>& programs, const std::vector<uint32_t>& links,
                         const std::vector<uint32_t>& flags, size_t count) {
  std::vector<Queried> all;
  for (size_t i = 0; i < std::min(count, programs.size()); i++)
    all.push_back({.program_id = programs[i], .link_id = links[i], .flags = flags[i]});
  return all;
}

}  // namespace

std::string cgroup_key(uint64_t cgroup, uint32_t type) { return key("cgroup", cgroup, type); }
std::string netns_key(uint64_t inode, uint32_t type) { return key("netns", inode, type); }
std::string xdp_key(uint64_t inode, uint32_t device) { return key("xdp", inode, device); }
std::string map_key(uint32_t map, uint32_t type) { return key("map", map, type); }
std::string struct_ops_key(uint32_t map) { return key("struct_ops", map, 0); }
std::string event_key(uint64_t event) { return key("event", event, 0); }
std::string link_key(uint32_t link) { return key("link", link, 0); }

Result<std::vector<Queried>> query_programs(int target, uint32_t type) {
  const auto attach_type = static_cast<bpf_attach_type>(type);
  for (;;) {
    // Most places are empty, and most calls end here.
    struct bpf_prog_query_opts counted = {};
    counted.sz = sizeof(counted);
    if (bpf_prog_query_opts(target, attach_type, &counted) != 0) {
      if (is_gone(errno) || cannot_be_there(errno)) return std::vector<Queried>();
      return fail_errno(errno, "cannot count programs");
    }
    if (counted.count == 0) return std::vector<Queried>();
    std::vector<uint32_t> programs(counted.count), links(counted.count), flags(counted.count);
    struct bpf_prog_query_opts query = {};
    query.sz = sizeof(query);
    query.count = counted.count;
    query.prog_ids = programs.data();
    if (tells_links(type)) query.link_ids = links.data();
    if (type == BPF_LSM_CGROUP) query.prog_attach_flags = flags.data();  // one type, many hooks
    if (bpf_prog_query_opts(target, attach_type, &query) == 0) {
      if (type != BPF_LSM_CGROUP) flags.assign(flags.size(), query.attach_flags);
      return zip(programs, links, flags, query.count);
    }
    if (is_gone(errno)) return std::vector<Queried>();
    if (errno != ENOSPC)  // else one more came in between
      return fail_errno(errno, "cannot query programs");
  }
}

}  // namespace bpfwarden::loader
