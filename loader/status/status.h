// What is active now, read back from the kernel.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "bpf-lsm/abi/program.h"
#include "keyring/kernel_keyring.h"
#include "loader/btf/kernel_abilities.h"
#include "loader/inventory/inventory.h"
#include "loader/kernel/hooks.h"
#include "loader/kernel/part.h"
#include "loader/kernel/tables.h"
#include "loader/kernel/unjudged.h"
#include "loader/policies/publish.h"
#include "loader/rollout/initramfs.h"
#include "loader/status/open_ways.h"

namespace bpfwarden::loader {

// Since an hour ago, to the minute: 60 to 61 minutes.
struct LastHour {
  uint64_t refused = 0;
  uint64_t would_deny = 0;
  uint64_t observed = 0;
};

// Denials of the last hour that were loads of feature probes (policy/answers/probes.h): as far as
// the kernel's buffers still have them.
struct ProbesOfHour {
  uint64_t refused = 0;
  uint64_t would_deny = 0;
};

struct KernelStatus {
  Part part;
  Generation generation;
  bw_counters counters = {};  // summed over the CPUs; agreed and differed of what is staged now
  LastHour last_hour;
  ProbesOfHour probes;
  std::optional<Residents> residents;  // nothing: a hook is gone that lists them
  bw_control word = {};
  std::optional<Generation> staged;
  std::optional<keyring::KeySerial> keyring;  // nothing: ours is no longer published
  Hooks hooks;
  std::vector<Table> tables;
  std::vector<bw_unjudged> unjudged;
  std::optional<StaleInitramfs> stale_initramfs;
  KernelClosings closings;
  KernelAbilities kernel;
};

// What one element of the map `minutes` (of one CPU) adds to the hour that ends in minute `now`.
void add_minute(const bw_minute& of, uint64_t now, LastHour& hour);

// The counts alone, which cost one look-up. Errors: no policy is active; errno of bpf(2).
[[nodiscard]] Result<bw_counters> read_counters();

// Nothing if no policy is active.
[[nodiscard]] Result<std::optional<KernelStatus>> read_status();

}  // namespace bpfwarden::loader
