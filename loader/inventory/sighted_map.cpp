#include "loader/inventory/sighted_map.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <map>

#include "base/fd.h"
#include "loader/kernel/struct_ops.h"
#include "loader/text/kernel_text.h"

namespace bpfwarden::loader {
namespace {

// Programs by id, and how many entries have each.
using Entries = std::map<uint32_t, size_t>;

struct Map {
  bpf_map_info info;
  Fd fd;
};

std::string map_kind(uint32_t type) {
  const char* name = libbpf_bpf_map_type_str(static_cast<bpf_map_type>(type));
  return name != nullptr ? name : "map";
}

// "prog_array 12 tail_calls"
std::string map_text(const bpf_map_info& info) {
  const std::string name = kernel_text(info.name, sizeof(info.name));
  return map_kind(info.type) + " " + std::to_string(info.id) + (name.empty() ? "" : " " + name);
}

// Where the value of an entry has the program's id (struct bpf_devmap_val, bpf_cpumap_val).
size_t id_offset(uint32_t type) { return type == BPF_MAP_TYPE_PROG_ARRAY ? 0 : sizeof(uint32_t); }

Entries read_entries(const Map& map) {
  Entries entries;
  const size_t offset = id_offset(map.info.type);
  if (map.info.value_size < offset + sizeof(uint32_t)) return entries;  // has no programs
  std::vector<std::byte> key(map.info.key_size), next(map.info.key_size),
      value(map.info.value_size);
  const void* previous = nullptr;
  // Keys that come and go can make the walk of a devmap_hash start anew.
  for (size_t i = 0; i < map.info.max_entries; i++) {
    if (bpf_map_get_next_key(map.fd.get(), previous, next.data()) != 0) break;
    key = next;
    previous = key.data();
    if (bpf_map_lookup_elem(map.fd.get(), key.data(), value.data()) != 0) continue;
    uint32_t id = 0;
    std::memcpy(&id, value.data() + offset, sizeof(id));
    if (id != 0) entries[id]++;
  }
  return entries;
}

void add_entries(const Map& map, Sightings& list) {
  for (const auto& [program, count] : read_entries(map))
    list.found.push_back({.program_id = program,
                          .key = {},
                          .kind = map_kind(map.info.type),
                          .attach = {},
                          .detail = (count == 1 ? "1 entry" : std::to_string(count) + " entries") +
                                    " of " + map_text(map.info),
                          .network = {}});
}

struct Verdict {
  uint32_t type;
  const char* attach;
};
constexpr auto kOfSockets =
    std::to_array<Verdict>({{BPF_SK_MSG_VERDICT, "sk_msg"},
                            {BPF_SK_SKB_STREAM_PARSER, "sk_skb/stream_parser"},
                            {BPF_SK_SKB_STREAM_VERDICT, "sk_skb/stream_verdict"},
                            {BPF_SK_SKB_VERDICT, "sk_skb/verdict"}});

void add_of_sockmap(const Map& map, Sightings& list) {
  for (const Verdict& verdict : kOfSockets) {
    const auto queried = query_programs(map.fd.get(), verdict.type);
    if (!queried) {
      list.missed.push_back(Error(queried.error()).within(map_text(map.info)));
      continue;
    }
    for (const Queried& one : *queried)
      list.found.push_back({.program_id = one.program_id,
                            .key = map_key(map.info.id, verdict.type),
                            .kind = "sockmap",
                            .attach = verdict.attach,
                            .detail = map_text(map.info),
                            .network = {}});
  }
}

void add_struct_ops(const Map& map, StructOps& types, Sightings& list) {
  const auto members = types.members_of(map.fd, map.info);
  if (!members) {
    list.missed.push_back(Error(members.error()).within(map_text(map.info)));
    return;
  }
  for (const uint32_t program : members->programs)
    list.found.push_back({.program_id = program,
                          .key = struct_ops_key(map.info.id),
                          .kind = "struct_ops",
                          .attach = {},
                          .detail = map_text(map.info),
                          .network = {},
                          .needs_link = members->needs_link});
}

void look_into(const Map& map, StructOps& types, Sightings& list) {
  switch (map.info.type) {
    case BPF_MAP_TYPE_SOCKMAP:
    case BPF_MAP_TYPE_SOCKHASH:
      return add_of_sockmap(map, list);
    case BPF_MAP_TYPE_PROG_ARRAY:
    case BPF_MAP_TYPE_DEVMAP:
    case BPF_MAP_TYPE_DEVMAP_HASH:
    case BPF_MAP_TYPE_CPUMAP:
      return add_entries(map, list);
    case BPF_MAP_TYPE_STRUCT_OPS:
      return add_struct_ops(map, types, list);
    default:
      return;
  }
}

}  // namespace

Sightings sightings_on_maps() {
  Sightings list;
  StructOps types;
  for (uint32_t id = 0; bpf_map_get_next_id(id, &id) == 0;) {
    Map map = {.info = {}, .fd = Fd(bpf_map_get_fd_by_id(id))};
    uint32_t size = sizeof(map.info);
    if (map.fd && bpf_map_get_info_by_fd(map.fd.get(), &map.info, &size) == 0)
      look_into(map, types, list);  // else it went away
  }
  return list;
}

}  // namespace bpfwarden::loader
