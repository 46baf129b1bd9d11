// Tests that a kernel cannot be asked to pass say so, and are skipped there.
#pragma once

#include <catch2/catch_test_macros.hpp>

#include "tests/vm/scene.h"

namespace bpfwarden::vm {

// Since Linux 7.3 the kernel folds a loader's metadata map into the signature. Before, it refuses
// such a loader (EKEYREJECTED), so nothing can be prog-used-maps.
inline void needs_folded_maps() {
  const auto doctor = nlohmann::json::parse(run("bpfwarden doctor --json").output);
  for (const auto& capability : doctor["capabilities"])
    if (capability["name"] == "signature verification" && capability["finding"] != "ok")
      SKIP("signatures of this kernel cover no maps");
}

}  // namespace bpfwarden::vm
