#include "loader/metrics/tallies.h"

#include <bpf/bpf.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace bpfwarden::loader {
namespace {

using Count = std::pair<bw_tally, uint64_t>;

// Entries are only ever added, so a walk in batches meets each one that was there when it began.
Result<std::vector<Count>> read_counts(int map) {
  constexpr uint32_t batch = 1024;
  std::vector<bw_tally> keys(batch);
  std::vector<uint64_t> values(batch);
  std::vector<Count> found;
  uint32_t position = 0;
  for (bool first = true;; first = false) {
    uint32_t size = batch;
    const int done = bpf_map_lookup_batch(map, first ? nullptr : &position, &position, keys.data(),
                                          values.data(), &size, nullptr);
    const bool is_last = done != 0 && errno == ENOENT;
    if (done != 0 && !is_last) return fail_errno(errno, "cannot read the counts by rule");
    for (uint32_t i = 0; i < size; i++) found.emplace_back(keys[i], values[i]);
    if (is_last) return found;
  }
}

bool comes_before(const Count& left, const Count& right) {
  return std::memcmp(&left.first, &right.first, sizeof(bw_tally)) < 0;
}

}  // namespace

Result<Tallies> read_tallies(const PinnedMaps& pins) {
  auto counts = read_counts(pins.tallies.get());
  if (!counts) return std::unexpected(std::move(counts).error());
  Tallies tallies = {.counts = std::move(*counts)};
  std::ranges::sort(tallies.counts, comes_before);
  for (uint32_t slot = 0; slot < BW_UNTALLIED; slot++)
    if (bpf_map_lookup_elem(pins.untallied.get(), &slot, &tallies.untallied[slot]) != 0)
      return fail_errno(errno, "cannot read the counts without a rule");
  return tallies;
}

}  // namespace bpfwarden::loader
