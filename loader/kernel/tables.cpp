#include "loader/kernel/tables.h"

#include <bpf/bpf.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <memory>

#include "bpf-lsm/abi/program.h"

namespace bpfwarden::loader {
namespace {

Result<uint64_t> room_of(int map) {
  bpf_map_info info = {};
  uint32_t size = sizeof(info);
  if (bpf_map_get_info_by_fd(map, &info, &size) != 0)
    return fail_errno(errno, "cannot look at a table of the kernel part");
  return info.max_entries;
}

// The kernel has no number to give. Where entries come and go meanwhile a walk may begin anew, so
// it ends when it has gone as far as there can be any. `note` gets each key.
template <class Key, class Note>
Result<Table> walk(const char* name, int map, const Note& note) {
  const auto room = room_of(map);
  if (!room) return std::unexpected(room.error());
  Table table = {.name = name, .room = *room};
  Key key = {}, next = {};
  for (bool is_first = true; table.entries < table.room; is_first = false) {
    if (bpf_map_get_next_key(map, is_first ? nullptr : &key, &next) != 0) break;
    table.entries++;
    note(next);
    key = next;
  }
  return table;
}

Result<Table> walk_programs(int map) {
  std::map<uint32_t, uint64_t> by_uid;
  const auto record = std::make_unique<bw_program>();
  auto table = walk<uint64_t>("programs", map, [&](uint64_t key) {
    if (bpf_map_lookup_elem(map, &key, record.get()) == 0)
      by_uid[static_cast<uint32_t>(record->facts.names[BW_NAME_UID].words[0])]++;
  });
  if (!table || by_uid.empty()) return table;
  const auto most =
      std::ranges::max_element(by_uid, {}, [](const auto& one) { return one.second; });
  table->uid = most->first;
  table->of_uid = most->second;
  return table;
}

}  // namespace

Result<std::vector<Table>> read_tables(const PinnedMaps& pins) {
  const auto nobody = [](auto) {};
  std::vector<Table> tables;
  for (const auto& table : {walk_programs(pins.programs.get()),
                            walk<uint64_t>("loader_maps", pins.loader_maps.get(), nobody),
                            walk<uint32_t>("ends", pins.ends.get(), nobody)}) {
    if (!table) return std::unexpected(table.error());
    tables.push_back(*table);
  }
  return tables;
}

std::string table_text(const Table& table) {
  std::string text =
      table.name + " " + std::to_string(table.entries) + " of " + std::to_string(table.room);
  if (table.of_uid != 0)
    text += ", " + std::to_string(table.of_uid) + " loaded by uid " + std::to_string(table.uid);
  return text;
}

}  // namespace bpfwarden::loader
