// Decisions over time, in bins that people count in.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "loader/report/event_table.h"

namespace bpfwarden::loader {

struct TimelineBin {
  std::array<uint64_t, kOutcomes> counts = {};
};

struct Timeline {
  Micros start = 0;  // a whole multiple of `step` since 1970 (UTC)
  Micros step = 0;   // 0: there is nothing to show
  std::vector<TimelineBin> bins;
};

inline constexpr size_t kMaxBins = 120;

// The smallest of 1 s, 5 s, ..., 1 min, ..., 1 h, ..., 1 day, 1 week, ... with which `first` to
// `last` need no more than kMaxBins bins.
[[nodiscard]] Micros timeline_step(Micros first, Micros last);

// Of entries by time.
[[nodiscard]] Timeline make_timeline(const EventTable& events);

}  // namespace bpfwarden::loader
