// Tests that a kernel cannot be asked to pass say so, and are skipped there.
#pragma once

#include <catch2/catch_test_macros.hpp>

#include "loader/btf/kernel_has.h"

namespace bpfwarden::vm {

// Since Linux 7.3 the kernel folds a loader's metadata map into the signature. Before, it refuses
// such a loader (EKEYREJECTED), so nothing can be prog-used-maps.
inline void needs_folded_maps() {
  if (!BW_KERNEL_HAS(folded_maps)) SKIP("signatures of this kernel cover no maps");
}

}  // namespace bpfwarden::vm
