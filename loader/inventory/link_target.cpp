#include "loader/inventory/link_target.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <filesystem>

#include "base/fd.h"
#include "loader/host/mounts.h"
#include "loader/inventory/sighted.h"
#include "loader/kernel/syscall.h"
#include "loader/text/traced_event.h"
#include "policy/language/attach_point.h"

namespace bpfwarden::loader {
namespace {

// Names that the kernel writes beside the info: one buffer for whichever the type has.
struct Info {
  bpf_link_info info = {};
  std::array<char, 4096> text = {};
};

// Where bpf_link_info of this type takes the buffer. The type is known from a first call.
void lend_buffer(Info& link) {
  bpf_link_info& info = link.info;
  const uint64_t text = as_u64(link.text.data());
  const auto size = static_cast<uint32_t>(link.text.size());
  const uint32_t type = info.type, event = info.perf_event.type;
  info = {};
  if (type == BPF_LINK_TYPE_RAW_TRACEPOINT) {
    info.raw_tracepoint.tp_name = text;
    info.raw_tracepoint.tp_name_len = size;
  } else if (type == BPF_LINK_TYPE_ITER) {
    info.iter.target_name = text;
    info.iter.target_name_len = size;
  } else if (type == BPF_LINK_TYPE_UPROBE_MULTI) {
    info.uprobe_multi.path = text;
    info.uprobe_multi.path_size = size;
  } else if (type == BPF_LINK_TYPE_PERF_EVENT && event == BPF_PERF_EVENT_TRACEPOINT) {
    info.perf_event.tracepoint.tp_name = text;
    info.perf_event.tracepoint.name_len = size;
  } else if (event == BPF_PERF_EVENT_KPROBE || event == BPF_PERF_EVENT_KRETPROBE) {
    info.perf_event.kprobe.func_name = text;
    info.perf_event.kprobe.name_len = size;
  } else if (event == BPF_PERF_EVENT_UPROBE || event == BPF_PERF_EVENT_URETPROBE) {
    info.perf_event.uprobe.file_name = text;
    info.perf_event.uprobe.name_len = size;
  }
}

Status read_info(uint32_t link_id, Info& link) {
  const Fd fd(bpf_link_get_fd_by_id(link_id));
  uint32_t size = sizeof(link.info);
  if (!fd || bpf_link_get_info_by_fd(fd.get(), &link.info, &size) != 0)
    return fail_errno(errno, "cannot look at link " + std::to_string(link_id));
  lend_buffer(link);
  size = sizeof(link.info);
  if (bpf_link_get_info_by_fd(fd.get(), &link.info, &size) != 0)
    return fail_errno(errno, "cannot look at link " + std::to_string(link_id));
  return {};
}

// Only where the device was not found: an index alone does not tell the network namespace.
std::string device_name(uint32_t index) { return "#" + std::to_string(index); }

std::string perf_event(const Info& link) {
  using enum TracedEvent::Kind;
  const auto& event = link.info.perf_event;
  TracedEvent traced = {.name = link.text.data()};
  switch (event.type) {
    case BPF_PERF_EVENT_KPROBE:
    case BPF_PERF_EVENT_KRETPROBE:
      traced.kind = event.type == BPF_PERF_EVENT_KPROBE ? kprobe : kretprobe;
      traced.offset = event.kprobe.offset;
      traced.address = event.kprobe.addr;
      break;
    case BPF_PERF_EVENT_UPROBE:
    case BPF_PERF_EVENT_URETPROBE:
      traced.kind = event.type == BPF_PERF_EVENT_UPROBE ? uprobe : uretprobe;
      traced.offset = event.uprobe.offset;
      break;
    case BPF_PERF_EVENT_TRACEPOINT:
      traced.kind = tracepoint;
      break;
    default:
      break;
  }
  return event_text(traced);
}

// The hook of an LSM program is fixed by its load.
std::string at(uint32_t prog_type, uint32_t attach_type, const std::string& place) {
  if (prog_type == BPF_PROG_TYPE_LSM) return "@" + place;
  return policy::describe_attach_point(prog_type, attach_type, "") + "@" + place;
}

std::string cgroup_place(uint64_t id, const CgroupPaths& cgroups) {
  const auto found = cgroups.find(id);
  return found != cgroups.end() ? found->second : "#" + std::to_string(id);
}

std::string describe(const Info& link, uint32_t prog_type, const CgroupPaths& cgroups) {
  const bpf_link_info& info = link.info;
  switch (info.type) {
    case BPF_LINK_TYPE_RAW_TRACEPOINT:
      return prog_type == BPF_PROG_TYPE_TRACING ? "" : std::string("raw_tp/") + link.text.data();
    case BPF_LINK_TYPE_ITER:
      return std::string("iter/") + link.text.data();
    case BPF_LINK_TYPE_CGROUP:
      return at(prog_type, info.cgroup.attach_type, cgroup_place(info.cgroup.cgroup_id, cgroups));
    case BPF_LINK_TYPE_XDP:
      return at(prog_type, BPF_XDP, device_name(info.xdp.ifindex));
    case BPF_LINK_TYPE_TCX:
      return at(prog_type, info.tcx.attach_type, device_name(info.tcx.ifindex));
    case BPF_LINK_TYPE_NETKIT:
      return at(prog_type, info.netkit.attach_type, device_name(info.netkit.ifindex));
    case BPF_LINK_TYPE_PERF_EVENT:
      return perf_event(link);
    case BPF_LINK_TYPE_KPROBE_MULTI:
      return ((info.kprobe_multi.flags & BPF_F_KPROBE_MULTI_RETURN) != 0 ? "kretprobe.multi/"
                                                                         : "kprobe.multi/") +
             std::to_string(info.kprobe_multi.count) + " symbols";
    case BPF_LINK_TYPE_UPROBE_MULTI:
      return std::string("uprobe.multi/") + link.text.data();
    default:
      return {};
  }
}

std::string key_of(const bw_listed_link& listed, const bpf_link_info& info) {
  switch (info.type) {
    case BPF_LINK_TYPE_CGROUP:
      return cgroup_key(info.cgroup.cgroup_id, info.cgroup.attach_type);
    case BPF_LINK_TYPE_NETNS:
      return netns_key(info.netns.netns_ino, info.netns.attach_type);
    case BPF_LINK_TYPE_XDP:
      return xdp_key(listed.place, info.xdp.ifindex);
    case BPF_LINK_TYPE_PERF_EVENT:
      return event_key(listed.place);
    case BPF_LINK_TYPE_STRUCT_OPS:
      return struct_ops_key(info.struct_ops.map_id);
    case BPF_LINK_TYPE_SOCKMAP:
      return map_key(info.sockmap.map_id, info.sockmap.attach_type);
    default:
      return link_key(listed.id);
  }
}

}  // namespace

const std::string& cgroup_root() {
  static const std::string root = [] {
    const auto roots = mounted("cgroup2");
    return roots.empty() ? std::string("/sys/fs/cgroup") : roots.front();
  }();
  return root;
}

CgroupPaths read_cgroups() {
  CgroupPaths paths;
  std::error_code error;
  const auto add = [&](const std::filesystem::path& path, const std::string& name) {
    struct stat found = {};
    if (::stat(path.c_str(), &found) == 0) paths[found.st_ino] = name;
  };
  add(cgroup_root(), "/");
  for (const auto& entry : std::filesystem::recursive_directory_iterator(cgroup_root(), error))
    if (entry.is_directory(error))
      add(entry.path(), "/" + entry.path().lexically_relative(cgroup_root()).string());
  return paths;
}

Result<LinkTarget> read_link_target(const bw_listed_link& listed, uint32_t prog_type,
                                    const CgroupPaths& cgroups) {
  Info link;
  if (auto read = read_info(listed.id, link); !read)
    return std::unexpected(std::move(read).error());
  const char* kind = libbpf_bpf_link_type_str(static_cast<bpf_link_type>(link.info.type));
  return LinkTarget{.kind = kind != nullptr ? kind : std::to_string(link.info.type),
                    .attach = describe(link, prog_type, cgroups),
                    .key = key_of(listed, link.info)};
}

}  // namespace bpfwarden::loader
