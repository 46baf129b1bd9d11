// What a policy's [harden] is about, by the numbers that the running kernel has for it: found by
// name in its BTF, for they move from version to version.
#pragma once

#include <array>
#include <cstdint>

#include "base/result.h"
#include "bpf-lsm/abi/harden.h"

namespace bpfwarden::loader {

// Of the kernel part, where they have these names with `harden_` before (harden_hooks.bpf.h): by
// the kernel's number, enum bw_hardening, or whether the reason counts to lockdown's integrity.
struct HardenTables {
  std::array<uint8_t, BW_MAX_LOCKDOWN_REASONS> reasons = {};
  std::array<uint8_t, BW_MAX_LOCKDOWN_REASONS> integrity = {};
  std::array<uint8_t, BW_MAX_LOADED_KINDS> data = {};
  std::array<uint8_t, BW_MAX_LOADED_KINDS> files = {};
};

[[nodiscard]] HardenTables harden_tables();

// Whether the running kernel can do what these bits (bw_image.harden) ask for. Errors: it asks no
// hook about one of them; the hint says what it has instead.
[[nodiscard]] Status require_hardening(uint64_t harden);

}  // namespace bpfwarden::loader
