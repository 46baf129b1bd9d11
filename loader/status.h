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
#include "loader/publish.h"

namespace bpfwarden::loader {

struct KernelStatus {
  Generation generation;
  bw_counters counters = {};  // summed over the CPUs; agreed and differed of what is staged now
  bw_control word = {};
  std::optional<Generation> staged;
  std::optional<keyring::KeySerial> keyring;  // nothing: ours is no longer published
  std::vector<std::string> hooks;             // pinned links
};

// Nothing if no policy is active.
[[nodiscard]] Result<std::optional<KernelStatus>> read_status();

}  // namespace bpfwarden::loader
