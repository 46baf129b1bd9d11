#include "loader/inventory/sighted_file.h"

#include <bpf/bpf.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <map>
#include <set>
#include <tuple>

#include "loader/text/kernel_text.h"
#include "loader/text/traced_event.h"

namespace bpfwarden::loader {
namespace {

std::string process_text(const bw_listed_holder& holder) {
  return kernel_text(holder.comm, sizeof(holder.comm)) + " (" + std::to_string(holder.tgid) + ")";
}

TracedEvent::Kind kind_of(uint32_t type) {
  using enum TracedEvent::Kind;
  switch (type) {
    case BPF_FD_TYPE_TRACEPOINT:
      return tracepoint;
    case BPF_FD_TYPE_KPROBE:
      return kprobe;
    case BPF_FD_TYPE_KRETPROBE:
      return kretprobe;
    case BPF_FD_TYPE_UPROBE:
      return uprobe;
    case BPF_FD_TYPE_URETPROBE:
      return uretprobe;
    default:
      return other;
  }
}

// Empty if it went away.
std::string name_event(const bw_listed_holder& holder) {
  std::array<char, 4096> name = {};
  auto length = static_cast<uint32_t>(name.size());
  uint32_t program = 0, type = 0;
  __u64 offset = 0, address = 0;
  if (bpf_task_fd_query(static_cast<int>(holder.pid), static_cast<int>(holder.fd), 0, name.data(),
                        &length, &program, &type, &offset, &address) == 0)
    return event_text(
        {.kind = kind_of(type), .name = name.data(), .offset = offset, .address = address});
  // The kernel names no events of hardware and software, and no breakpoints.
  return errno == EOPNOTSUPP ? event_text({}) : std::string();
}

void add_events(const std::vector<bw_listed_holder>& holders, Sightings& list) {
  std::set<uint64_t> seen;
  for (const bw_listed_holder& holder : holders) {
    if (holder.held != BW_HELD_EVENT || seen.contains(holder.object)) continue;
    std::string text = name_event(holder);
    if (text.empty()) continue;
    seen.insert(holder.object);
    list.found.push_back({.program_id = holder.program_id,
                          .key = event_key(holder.object),
                          .kind = "perf_event",
                          .attach = std::move(text),
                          .detail = {},
                          .network = {}});
  }
}

// A server can have a thousand sockets with the same program: they are counted, not listed.
void add_sockets(const std::vector<bw_listed_holder>& holders, Sightings& list) {
  struct Sockets {
    std::set<uint64_t> inodes;
    std::string process;
  };
  std::map<std::tuple<uint32_t, uint32_t, uint32_t>, Sockets> found;
  for (const bw_listed_holder& holder : holders) {
    if (holder.held != BW_HELD_SOCKET && holder.held != BW_HELD_REUSEPORT) continue;
    if (holder.tgid == static_cast<uint32_t>(::getpid())) continue;  // inherited
    Sockets& sockets = found[{holder.program_id, holder.held, holder.tgid}];
    sockets.inodes.insert(holder.object);
    sockets.process = process_text(holder);
  }
  for (const auto& [which, sockets] : found) {
    const auto& [program, held, process] = which;
    const size_t count = sockets.inodes.size();
    list.found.push_back({.program_id = program,
                          .key = {},
                          .kind = held == BW_HELD_SOCKET ? "socket" : "reuseport",
                          .attach = {},
                          .detail = (count == 1 ? "1 socket" : std::to_string(count) + " sockets") +
                                    " of " + sockets.process,
                          .network = {}});
  }
}

}  // namespace

Sightings sightings_on_files(const std::vector<bw_listed_holder>& holders) {
  Sightings list;
  add_events(holders, list);
  add_sockets(holders, list);
  return list;
}

}  // namespace bpfwarden::loader
