// Whom the programs in the kernel were admitted for, as the warden noted it at their load.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "bpf-lsm/abi/program.h"
#include "loader/kernel/pins.h"

namespace bpfwarden::loader {

struct AdmittedProgram {
  bw_program record;
  std::string name;    // empty if it went away in between
  std::string attach;  // "fentry/tcp_connect"
};

// By program id. Those that were there before the warden are not among them, nor are loads that are
// still under way. Errors: errno of bpf(2).
[[nodiscard]] Result<std::vector<AdmittedProgram>> read_provenance(const PinnedMaps& pins);

}  // namespace bpfwarden::loader
