#include "loader/kernel/unjudged.h"

#include <bpf/bpf.h>

#include <cerrno>
#include <cstdio>

#include "base/fd.h"

namespace bpfwarden::loader {

Result<std::vector<bw_unjudged>> read_unjudged(const PinnedMaps& pins) {
  const int map = pins.unjudged.get();
  std::vector<bw_unjudged> programs;
  uint64_t key = 0, next = 0;
  for (bool is_first = true; programs.size() < BW_MAX_UNJUDGED; is_first = false) {
    if (bpf_map_get_next_key(map, is_first ? nullptr : &key, &next) != 0) {
      if (errno == ENOENT) return programs;
      return fail_errno(errno, "cannot read which programs no hook judged");
    }
    key = next;
    bw_unjudged program = {};
    if (bpf_map_lookup_elem(map, &key, &program) != 0) continue;  // gone meanwhile
    if (Fd(bpf_prog_get_fd_by_id(program.program_id)) || errno != ENOENT)
      programs.push_back(program);
  }
  return programs;
}

std::string unjudged_text(const bw_unjudged& program) {
  char call[96];
  std::snprintf(call, sizeof(call), "system call %u (0x%llx, 0x%llx)", program.system_call,
                static_cast<unsigned long long>(program.arguments[0]),
                static_cast<unsigned long long>(program.arguments[1]));
  std::string text = "program " + std::to_string(program.program_id) + " by " + call;
  if (program.count > 1) text += ", " + std::to_string(program.count) + " times";
  return text;
}

}  // namespace bpfwarden::loader
