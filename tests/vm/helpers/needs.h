// Tests that a kernel cannot be asked to pass say so, and are skipped there.
#pragma once

#include <catch2/catch_test_macros.hpp>

#include "loader/btf/kernel_has.h"

namespace bpfwarden::vm {

// Since Linux 7.3 the kernel folds a loader's metadata map into the signature, and before 6.18
// bpfwarden does. In between the kernel refuses such a loader (EKEYREJECTED), so nothing can be
// prog-used-maps.
inline bool covers_maps() { return BW_KERNEL_HAS(folded_maps) || !BW_KERNEL_HAS(signature_attr); }

inline void needs_folded_maps() {
  if (!covers_maps()) SKIP("signatures of this kernel cover no maps");
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
