#include "loader/kernel/provenance.h"

#include <bpf/bpf.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/fd.h"
#include "policy/language/attach_point.h"

namespace bpfwarden::loader {
namespace {

// In batches: unlike a walk from key to key these do not start again when a program goes away.
Result<std::vector<bw_program>> read_records(int map) {
  constexpr uint32_t batch = 1024;
  std::vector<uint64_t> keys(batch);
  std::vector<bw_program> values(batch), found;
  uint32_t position = 0;
  for (bool first = true;; first = false) {
    uint32_t count = batch;
    const int done = bpf_map_lookup_batch(map, first ? nullptr : &position, &position, keys.data(),
                                          values.data(), &count, nullptr);
    const bool is_last = done != 0 && errno == ENOENT;
    if (done != 0 && !is_last)
      return fail_errno(errno, "cannot read the list of admitted programs");
    found.insert(found.end(), values.begin(), values.begin() + count);
    if (is_last) return found;
  }
}

std::string program_name(uint32_t id) {
  const Fd program(bpf_prog_get_fd_by_id(id));
  bpf_prog_info info = {};
  uint32_t size = sizeof(info);
  if (!program || bpf_prog_get_info_by_fd(program.get(), &info, &size) != 0) return {};
  return info.name;
}

std::string attach_of(const bw_facts& facts) {
  const bw_name& target = facts.names[BW_NAME_TARGET];
  const char* text = reinterpret_cast<const char*>(target.bytes);
  return policy::describe_attach_point(
      facts.prog_type, facts.attach_type,
      target.known != 0 ? std::string(text, ::strnlen(text, BW_NAME_SIZE)) : "");
}

}  // namespace

Result<std::vector<AdmittedProgram>> read_provenance(const PinnedMaps& pins) {
  auto records = read_records(pins.programs.get());
  if (!records) return std::unexpected(std::move(records).error());
  std::vector<AdmittedProgram> programs;
  for (const bw_program& record : *records)
    if (record.program_id != 0)
      programs.push_back({record, program_name(record.program_id), attach_of(record.facts)});
  std::ranges::sort(programs, {}, [](const auto& one) { return one.record.program_id; });
  return programs;
}

}  // namespace bpfwarden::loader
