#include "loader/kernel/writers.h"

#include <bpf/bpf.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <span>
#include <string>

#include "base/fd.h"
#include "bpf-lsm/abi/own.h"
#include "loader/btf/kernel_has.h"
#include "loader/kernel/syscall.h"

namespace bpfwarden::loader {
namespace {

constexpr uint32_t kMostMaps = 64;  // of one program, as the kernel has it: MAX_USED_MAPS

bool is_own(int own, bw_own_kind kind, uint32_t id) {
  const bw_own_key key = {.kind = kind, .id = id};
  bw_own object = {};
  return bpf_map_lookup_elem(own, &key, &object) == 0;
}

struct Bound {
  bpf_prog_info info = {};
  std::array<uint32_t, kMostMaps> maps = {};

  [[nodiscard]] bool read(const Fd& program) {
    uint32_t size = sizeof(info);
    info.map_ids = as_u64(maps.data());
    info.nr_map_ids = kMostMaps;
    return bpf_prog_get_info_by_fd(program.get(), &info, &size) == 0;
  }
  [[nodiscard]] bool iterates_over_maps() const {
    static const uint32_t target = kernel_function_id("bpf_iter_bpf_map_elem");
    return info.type == BPF_PROG_TYPE_TRACING && target != 0 && info.attach_btf_id == target;
  }
  [[nodiscard]] bool binds_one_of(int own) const {
    return std::ranges::any_of(std::span(maps).first(std::min(info.nr_map_ids, kMostMaps)),
                               [&](uint32_t id) { return is_own(own, BW_OWN_MAP, id); });
  }
};

Status refuse_writer(const bpf_prog_info& info, const char* does) {
  return fail("program " + std::to_string(info.id) + " (" + info.name + ") " + does +
                  ": it could write them on a sealed host, too",
              "`bpftool prog show id " + std::to_string(info.id) +
                  "` says who has it; end that, or wait for the next boot");
}

}  // namespace

Status require_no_writers(int own) {
  uint32_t id = 0;
  while (bpf_prog_get_next_id(id, &id) == 0) {
    if (is_own(own, BW_OWN_PROGRAM, id)) continue;
    const Fd program(bpf_prog_get_fd_by_id(id));
    if (!program && errno == ENOENT) continue;  // it has ended
    Bound bound;
    if (!program || !bound.read(program))
      return fail_errno(errno, "cannot look at program " + std::to_string(id));
    if (bound.binds_one_of(own)) return refuse_writer(bound.info, "binds maps of bpfwarden");
    if (bound.iterates_over_maps())
      return refuse_writer(bound.info, "iterates over the elements of maps");
  }
  return {};
}

}  // namespace bpfwarden::loader
