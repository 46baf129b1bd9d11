#include "loader/inventory/sighted_cgroup.h"

#include <fcntl.h>
#include <linux/bpf.h>

#include "base/fd.h"
#include "policy/language/attach_point.h"

namespace bpfwarden::loader {
namespace {

std::string flags_text(uint32_t flags) {
  if ((flags & BPF_F_ALLOW_MULTI) != 0) return "multi";
  return (flags & BPF_F_ALLOW_OVERRIDE) != 0 ? "override" : "exclusive";
}

// The hook of an LSM program is fixed by its load.
std::string attach_text(const policy::AttachFamily& family, const std::string& path) {
  const bool is_lsm = family.attach_type == BPF_LSM_CGROUP;
  return (is_lsm ? "" : std::string(family.name)) + "@" + path;
}

void query_cgroup(const Fd& cgroup, uint64_t id, const std::string& path, Sightings& list) {
  for (const policy::AttachFamily& family : policy::attach_families()) {
    if (family.place != policy::Place::cgroup) continue;
    const auto queried = query_programs(cgroup.get(), family.attach_type);
    if (!queried) {
      list.missed.push_back(Error(queried.error()).within("cgroup " + path));
      continue;
    }
    for (const Queried& one : *queried)
      list.found.push_back({.program_id = one.program_id,
                            .key = cgroup_key(id, family.attach_type),
                            .kind = "cgroup",
                            .attach = attach_text(family, path),
                            .detail = flags_text(one.flags),
                            .network = {}});
  }
}

}  // namespace

Sightings sightings_on_cgroups(const CgroupPaths& cgroups) {
  Sightings list;
  for (const auto& [id, path] : cgroups) {
    const Fd cgroup(::open((cgroup_root() + path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (cgroup) query_cgroup(cgroup, id, path, list);  // else it went away
  }
  return list;
}

}  // namespace bpfwarden::loader
