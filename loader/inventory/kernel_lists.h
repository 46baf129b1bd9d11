// Reads the iterators of the kernel part: the pinned ones, or ones that are loaded for the moment.
#pragma once

#include <optional>
#include <vector>

#include "base/result.h"
#include "bpf-lsm/abi/inventory.h"

namespace bpfwarden::loader {

struct KernelLists {
  std::vector<bw_listed_program_record> programs;
  std::vector<bw_listed_link> links;
  std::vector<bw_listed_holder> holders;
  std::vector<uint32_t> momentary;  // programs of the iterators, if they were loaded for this
};

// Errors: errno of bpf(2) or read(2).
[[nodiscard]] Result<KernelLists> read_kernel_lists();

// Its programs only, of a warden that is pinned. Errors: likewise.
[[nodiscard]] Result<std::vector<bw_listed_program_record>> read_program_list();

}  // namespace bpfwarden::loader
