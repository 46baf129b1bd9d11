#include "loader/inventory/kernel_lists.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string>

#include "base/fd.h"
#include "loader/kernel/pins.h"
#include "loader/kernel/warden.h"

namespace bpfwarden::loader {
namespace {

Result<std::vector<std::byte>> read_iterator(int link, const char* name) {
  const Fd iterator(bpf_iter_create(link));
  if (!iterator) return fail_errno(errno, std::string("cannot start ") + name);
  std::vector<std::byte> bytes;
  std::byte chunk[16384];
  for (;;) {
    const ssize_t size = ::read(iterator.get(), chunk, sizeof(chunk));
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return fail_errno(errno, std::string("cannot read ") + name);
    if (size == 0) return bytes;
    bytes.insert(bytes.end(), chunk, chunk + size);
  }
}

template <class Record>
Status read_records(int link, const char* name, std::vector<Record>& records) {
  const auto bytes = read_iterator(link, name);
  if (!bytes) return std::unexpected(bytes.error());
  records.resize(bytes->size() / sizeof(Record));
  if (records.empty()) return {};  // memcpy() takes no null pointer
  std::memcpy(records.data(), bytes->data(), records.size() * sizeof(Record));
  return {};
}

Result<KernelLists> read_all(const ListLinks& from) {
  KernelLists lists;
  for (const Status& done : {read_records(from.programs, "list_programs", lists.programs),
                             read_records(from.links, "list_links", lists.links),
                             read_records(from.holders, "list_holders", lists.holders)})
    if (!done) return std::unexpected(done.error());
  return lists;
}

Result<Fd> pinned_link(const char* name) {
  const std::string path = std::string(kPinFolder) + "/link_" + name;
  Fd link(bpf_obj_get(path.c_str()));
  if (!link) return unopened_pin(errno, path);
  return link;
}

Result<KernelLists> read_pinned() {
  const auto programs = pinned_link("list_programs"), links = pinned_link("list_links"),
             holders = pinned_link("list_holders");
  for (const auto* link : {&programs, &links, &holders})
    if (!*link) return std::unexpected(link->error());
  return read_all({programs->get(), links->get(), holders->get()});
}

uint32_t program_of(int link) {
  bpf_link_info info = {};
  uint32_t size = sizeof(info);
  return bpf_link_get_info_by_fd(link, &info, &size) == 0 ? info.prog_id : 0;
}

}  // namespace

Result<KernelLists> read_kernel_lists() {
  auto pins = open_pins();
  if (!pins) return std::unexpected(std::move(pins).error());
  if (*pins) return read_pinned();
  const auto lists = Warden::load_lists();
  if (!lists) return std::unexpected(lists.error());
  const ListLinks links = lists->list_links();
  auto read = read_all(links);
  if (read)
    read->momentary = {program_of(links.programs), program_of(links.links),
                       program_of(links.holders)};
  return read;
}

Result<std::vector<bw_listed_program_record>> read_program_list() {
  const auto link = pinned_link("list_programs");
  if (!link) return std::unexpected(link.error());
  std::vector<bw_listed_program_record> records;
  if (Status done = read_records(link->get(), "list_programs", records); !done)
    return std::unexpected(std::move(done).error());
  return records;
}

}  // namespace bpfwarden::loader
