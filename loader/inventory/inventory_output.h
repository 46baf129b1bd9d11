// The inventory, as people and machines read it.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "loader/inventory/inventory.h"

namespace bpfwarden::loader {

// One moment on two clocks: load times are of the first, people live by the second.
struct Moment {
  uint64_t boot_ns = 0;      // CLOCK_BOOTTIME
  int64_t unix_seconds = 0;  // UTC
};
[[nodiscard]] Moment this_moment();

// The warden's word where it has one, else the kernel's.
[[nodiscard]] bool has_verified_signature(const ListedProgram& program);

// Some lines. They are at most 100 columns wide, as far as names and paths allow.
[[nodiscard]] std::string inventory_text(const ListedProgram& program, const Moment& now);

// Everything that is known of it, a line each.
[[nodiscard]] std::string inventory_details(const ListedProgram& program, const Moment& now);

[[nodiscard]] nlohmann::json inventory_json(const ListedProgram& program, const Moment& now);

// All of them, as of now: what `inventory --json` prints and `report` shows.
[[nodiscard]] nlohmann::json inventory_to_json(const std::vector<ListedProgram>& programs);

}  // namespace bpfwarden::loader
