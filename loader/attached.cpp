#include "loader/attached.h"

#include <bpf/bpf.h>

#include <cerrno>

namespace bpfwarden::loader {
namespace {

std::string key(const char* kind, uint64_t where, uint64_t what) {
  return std::string(kind) + " " + std::to_string(where) + " " + std::to_string(what);
}

}  // namespace

std::string cgroup_key(uint64_t cgroup, uint32_t type) { return key("cgroup", cgroup, type); }
std::string netns_key(uint64_t inode, uint32_t type) { return key("netns", inode, type); }
std::string xdp_key(uint64_t inode, uint32_t device) { return key("xdp", inode, device); }
std::string map_key(uint32_t map, uint32_t type) { return key("map", map, type); }
std::string struct_ops_key(uint32_t map) { return key("struct_ops", map, 0); }
std::string event_key(uint64_t event) { return key("event", event, 0); }
std::string link_key(uint32_t link) { return key("link", link, 0); }

Result<Queried> query_programs(int target, uint32_t type) {
  const auto attach_type = static_cast<bpf_attach_type>(type);
  for (;;) {
    struct bpf_prog_query_opts options = {};
    options.sz = sizeof(options);
    // Most places are empty, and most calls end here.
    if (bpf_prog_query_opts(target, attach_type, &options) != 0)
      return fail_errno(errno, "cannot query programs");
    Queried queried = {.programs = std::vector<uint32_t>(options.count),
                       .links = std::vector<uint32_t>(options.count)};
    if (options.count == 0) return queried;
    const bool tells_links = type == BPF_TCX_INGRESS || type == BPF_TCX_EGRESS ||
                             type == BPF_NETKIT_PRIMARY || type == BPF_NETKIT_PEER;
    options = {};
    options.sz = sizeof(options);
    options.count = static_cast<uint32_t>(queried.programs.size());
    options.prog_ids = queried.programs.data();
    if (tells_links) options.link_ids = queried.links.data();
    if (bpf_prog_query_opts(target, attach_type, &options) != 0) {
      if (errno == ENOSPC) continue;  // one more came in between
      return fail_errno(errno, "cannot query programs");
    }
    queried.flags = options.attach_flags;
    queried.programs.resize(options.count);
    queried.links.resize(options.count);
    return queried;
  }
}

}  // namespace bpfwarden::loader
