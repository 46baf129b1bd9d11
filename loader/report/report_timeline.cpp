#include "loader/report/report_timeline.h"

#include <algorithm>

namespace bpfwarden::loader {
namespace {

constexpr Micros kOneSecond = 1'000'000, kMinute = 60 * kOneSecond, kHour = 60 * kMinute,
                 kDay = 24 * kHour;
constexpr auto kSteps = std::to_array<Micros>(
    {kOneSecond,   5 * kOneSecond, 10 * kOneSecond, 15 * kOneSecond, 30 * kOneSecond,
     kMinute,      2 * kMinute,    5 * kMinute,     10 * kMinute,    15 * kMinute,
     30 * kMinute, kHour,          2 * kHour,       3 * kHour,       6 * kHour,
     12 * kHour,   kDay,           2 * kDay,        7 * kDay,        14 * kDay,
     28 * kDay});

// Towards the past, also before 1970.
Micros bin_of(Micros moment, Micros step) { return moment / step - (moment % step < 0 ? 1 : 0); }

bool is_enough(Micros first, Micros last, Micros step) {
  return bin_of(last, step) - bin_of(first, step) < static_cast<Micros>(kMaxBins);
}

}  // namespace

Micros timeline_step(Micros first, Micros last) {
  for (const Micros step : kSteps)
    if (is_enough(first, last, step)) return step;
  Micros step = kSteps.back();
  while (!is_enough(first, last, step)) step *= 2;
  return step;
}

Timeline make_timeline(const EventTable& events) {
  const auto& entries = events.entries();
  if (entries.empty()) return {};
  const Micros step = timeline_step(entries.front().time, entries.back().time);
  const Micros first = bin_of(entries.front().time, step);
  Timeline timeline = {.start = first * step, .step = step, .bins = {}};
  timeline.bins.resize(static_cast<size_t>(bin_of(entries.back().time, step) - first + 1));
  for (const TableEntry& entry : entries) {
    const auto bin = static_cast<size_t>(bin_of(entry.time, step) - first);
    timeline.bins[bin].counts[static_cast<size_t>(events.outcome(entry))] += entry.count;
  }
  return timeline;
}

}  // namespace bpfwarden::loader
