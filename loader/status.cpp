#include "loader/status.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cerrno>

#include "loader/apply.h"
#include "loader/pins.h"

namespace bpfwarden::loader {
namespace {

Result<bw_counters> sum_counters(int map) {
  const int cpus = libbpf_num_possible_cpus();
  if (cpus < 0) return fail_errno(-cpus, "cannot count the CPUs");
  std::vector<bw_counters> each(static_cast<size_t>(cpus));
  const uint32_t key = 0;
  if (bpf_map_lookup_elem(map, &key, each.data()) != 0)
    return fail_errno(errno, "cannot read the counters");
  bw_counters sum = {};
  for (const auto& one : each) {
    sum.decided += one.decided;
    sum.refused += one.refused;
    sum.would_deny += one.would_deny;
    sum.observed += one.observed;
    sum.dropped += one.dropped;
    sum.quiet += one.quiet;
  }
  return sum;
}

}  // namespace

Result<std::optional<KernelStatus>> read_status() {
  auto pins = open_pins();
  if (!pins) return std::unexpected(std::move(pins).error());
  if (!*pins) return std::nullopt;
  auto active = read_active((*pins)->control.get(), (*pins)->generations.get());
  if (!active) return std::unexpected(std::move(active).error());
  if (!*active) return std::nullopt;
  auto counters = sum_counters((*pins)->counters.get());
  if (!counters) return std::unexpected(std::move(counters).error());
  KernelStatus status = {.generation = std::move(**active),
                         .counters = *counters,
                         .keyring = std::nullopt,
                         .hooks = pinned_links()};
  const keyring::KeySerial ours = status.generation.image->sealed.ring;
  if (auto ring = keyring::find_ring(kRingName); ring && *ring == ours) status.keyring = ours;
  return status;
}

}  // namespace bpfwarden::loader
