// Policy generations in the kernel: a new image is written into a free slot and frozen before one
// 8-byte word makes it the active one. Until that word is stored nothing has changed; after it,
// every decision is by the new policy. A crash anywhere leaves one whole policy active.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "base/result.h"
#include "bpf-lsm/abi/program.h"

namespace bpfwarden::loader {

struct Generation {
  uint64_t number = 0;
  std::unique_ptr<bw_image> image;
};

// `control` and `generations` are map file descriptors, borrowed.
[[nodiscard]] Result<bw_control> read_control(int control);
[[nodiscard]] Status write_control(int control, const bw_control& word);

// The image of a generation that is still in its slot; nothing if it has been replaced.
[[nodiscard]] Result<std::optional<Generation>> read_generation(int control, int generations,
                                                                uint64_t number);
// Nothing before the first publish().
[[nodiscard]] Result<std::optional<Generation>> read_active(int control, int generations);

// Writes, freezes and flips. Returns the new generation's number.
[[nodiscard]] Result<uint64_t> publish(int control, int generations, const bw_image& image);

}  // namespace bpfwarden::loader
