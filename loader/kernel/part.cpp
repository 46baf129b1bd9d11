#include "loader/kernel/part.h"

#include <bpf/bpf.h>

#include <cerrno>
#include <string_view>

#include "bpf-lsm/abi/part.h"
#include "loader/kernel/version.h"
#include "loader/text/kernel_text.h"

namespace bpfwarden::loader {
namespace {

constexpr uint32_t kOnlyPart = 0;

std::string described(const Part& part) {
  if (part.version.empty()) return "an earlier bpfwarden (no ABI number)";
  return "bpfwarden " + part.version + " (ABI " + std::to_string(part.abi) + ")";
}

}  // namespace

Part part_of_this_binary() { return {.version = kVersion, .abi = kPartAbi}; }

Status note_part(int map) {
  bw_part part = {.abi = kPartAbi, .reserved = 0, .version = {}};
  std::string_view(kVersion).copy(part.version, sizeof(part.version) - 1);
  if (bpf_map_update_elem(map, &kOnlyPart, &part, BPF_ANY) != 0)
    return fail_errno(errno, "cannot note the version of the kernel part");
  if (bpf_map_freeze(map) != 0) return fail_errno(errno, "cannot freeze the map `part`");
  return {};
}

Result<Part> read_part(int map) {
  bpf_map_info info = {};
  uint32_t size = sizeof(info);
  if (bpf_map_get_info_by_fd(map, &info, &size) != 0)
    return fail_errno(errno, "cannot look at the map `part`");
  if (info.type != BPF_MAP_TYPE_ARRAY || info.value_size != sizeof(bw_part)) return Part{};
  bw_part part = {};
  if (bpf_map_lookup_elem(map, &kOnlyPart, &part) != 0)
    return fail_errno(errno, "cannot read the version of the kernel part");
  return Part{.version = kernel_text(part.version, sizeof(part.version)), .abi = part.abi};
}

Status require_readable(const Part& active) {
  const Part here = part_of_this_binary();
  if (active.abi == here.abi) return {};
  return fail("the active kernel part is of " + described(active) + ", this binary is " +
                  here.version + " (ABI " + std::to_string(here.abi) + ")",
              "it goes on deciding; `bpfwarden upgrade` takes over from it with the confirmed "
              "policy, and so does a reboot; or use the version that loaded it");
}

}  // namespace bpfwarden::loader
