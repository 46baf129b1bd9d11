// Tests that a kernel cannot be asked to pass say so, and are skipped there.
#pragma once

#include <catch2/catch_test_macros.hpp>

#include "loader/btf/kernel_has.h"

namespace bpfwarden::vm {

// Since Linux 7.3 the kernel folds a loader's metadata map into the signature; before, bpfwarden
// does, of what lies beside the call. From 6.18 to 7.2 the kernel refuses such a signature itself
// (EKEYREJECTED), so there is no use for what other tools load with it.
inline void needs_tools_whose_signatures_hold() {
  if (BW_KERNEL_HAS(signature_attr) && !BW_KERNEL_HAS(folded_maps))
    SKIP("signatures of this kernel cover no maps");
}

// Since 6.18 the kernel keeps a SHA-256 of each program; before, `apply` refuses a policy with
// digests.
inline void needs_digests() {
  if (!BW_KERNEL_HAS(program_digest)) SKIP("this kernel keeps no digests of programs");
}

// Since 6.18 the end of a system call can be awaited; before, what would be looked at there is
// refused: threads under `detect`.
inline bool awaits_ends() { return BW_KERNEL_HAS(task_work) || BW_KERNEL_HAS(task_work_impl); }

inline void needs_awaited_ends() {
  if (!awaits_ends()) SKIP("this kernel awaits no end of a call: what has threads is refused");
}

}  // namespace bpfwarden::vm
