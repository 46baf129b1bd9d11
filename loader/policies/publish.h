// Policy generations in the kernel: a new image is written into a free slot and frozen before one
// 8-byte word makes it the active one. Until that word is stored nothing has changed; after it,
// every decision is by the new policy. A crash anywhere leaves one whole policy active.
//
// A generation that awaits its confirmation gives way by itself, inside the kernel, once its
// deadline has passed (bpf-lsm/maps.bpf.h); deciding_generation() is the manager's view of that.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"
#include "bpf-lsm/abi/program.h"

namespace bpfwarden::loader {

struct Generation {
  uint64_t number = 0;
  std::unique_ptr<bw_image> image;
};

// CLOCK_BOOTTIME, as bpf_ktime_get_boot_ns() reads it.
[[nodiscard]] uint64_t boot_time_ns();

// `control` and `generations` are map file descriptors, borrowed.
[[nodiscard]] Result<bw_control> read_control(int control);
[[nodiscard]] Status write_control(int control, const bw_control& word);

// What decides at that time; 0: nothing yet.
[[nodiscard]] uint64_t deciding_generation(const bw_control& word, uint64_t now_ns);
[[nodiscard]] bool awaits_confirmation(const bw_control& word, uint64_t now_ns);
// Rounded up; 0 if nothing awaits it.
[[nodiscard]] uint64_t seconds_left(const bw_control& word, uint64_t now_ns);
// Nobody confirmed in time: the fallback decides.
[[nodiscard]] bool has_returned(const bw_control& word, uint64_t now_ns);

// The image of a generation that is still in its slot; nothing if it has been replaced.
[[nodiscard]] Result<std::optional<Generation>> read_generation(int generations, uint64_t number);
// What decides now. Nothing before the first publish().
[[nodiscard]] Result<std::optional<Generation>> read_active(int control, int generations);

// A deadline from now on, after which `fallback` decides again.
struct Deadline {
  uint64_t within_ns = 0;
  uint64_t fallback = 0;
};

// Writes, freezes and flips. What decided until then becomes `previous`, nothing is staged any
// more. Returns the new generation's number. None must await its confirmation.
// `next_root`: of note_mounts().
[[nodiscard]] Result<uint64_t> publish(int control, int generations, const bw_image& image,
                                       std::optional<Deadline> deadline = std::nullopt,
                                       std::string_view next_root = {});

// The image of a generation of another kernel part, by its number. Errors: errno of bpf(2).
[[nodiscard]] Status carry_generation(int generations, const Generation& generation);

// A map as those of images, without one, that no process can write.
[[nodiscard]] Result<Fd> make_empty_slot();

// Beside the active one, in the place of another. Returns its number.
[[nodiscard]] Result<uint64_t> publish_staged(int control, int generations, const bw_image& image);

}  // namespace bpfwarden::loader
