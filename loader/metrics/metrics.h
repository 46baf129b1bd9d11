// What monitoring asks of a host, as metrics (docs/metrics.md). Everything is read from the kernel
// at that moment: nothing of ours has to run in between, and counters start at 0 with the first
// `apply`.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "base/result.h"
#include "loader/inventory/inventory.h"
#include "loader/metrics/exposition.h"
#include "loader/metrics/tallies.h"
#include "loader/status/status.h"

namespace bpfwarden::loader {

// Of an active policy.
struct Measured {
  KernelStatus status;
  Tallies tallies;
  // In the kernel now. Nothing: a hook is gone that lists them.
  std::optional<std::map<Standing, uint64_t>> programs;
};

struct MeasuredAt {
  int64_t unix_seconds = 0;
  uint64_t boot_ns = 0;  // CLOCK_BOOTTIME
};

// Nothing measured: no policy is active, which is a metric too.
[[nodiscard]] std::vector<Metric> to_metrics(const std::optional<Measured>& measured,
                                             const MeasuredAt& now);

// Needs root. Errors: errno of bpf(2).
[[nodiscard]] Result<std::vector<Metric>> read_metrics();

}  // namespace bpfwarden::loader
