// The kernel part's counts of decisions by rule (bpf-lsm/abi/tally.h).
#pragma once

#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/result.h"
#include "bpf-lsm/abi/tally.h"
#include "loader/kernel/pins.h"

namespace bpfwarden::loader {

struct Tallies {
  std::vector<std::pair<bw_tally, uint64_t>> counts;  // sorted by rule
  std::array<uint64_t, BW_UNTALLIED> untallied = {};  // by bw_untallied_slot()
};

// All of them together are all decisions since the hooks were attached. Errors: errno of bpf(2).
[[nodiscard]] Result<Tallies> read_tallies(const PinnedMaps& pins);

}  // namespace bpfwarden::loader
