// Programs that became active by a way that no hook judged (bpf-lsm/attach/unjudged.bpf.h), as long
// as they are in the kernel.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "bpf-lsm/abi/program.h"
#include "loader/kernel/pins.h"

namespace bpfwarden::loader {

// Errors: errno of bpf(2).
[[nodiscard]] Result<std::vector<bw_unjudged>> read_unjudged(const PinnedMaps& pins);

// "program 12 by system call 16 (0x5, 0x40042408), 3 times"
[[nodiscard]] std::string unjudged_text(const bw_unjudged& program);

}  // namespace bpfwarden::loader
