// Whose the kernel part is: a manager of another version must not read its maps, which may lie
// otherwise, and must not write to them.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace bpfwarden::loader {

struct Part {
  std::string version;  // empty: from before there were numbers
  uint32_t abi = 0;

  bool operator==(const Part&) const = default;
};

[[nodiscard]] Part part_of_this_binary();

// Into the map `part` of a loaded skeleton; nobody can write to it then. Errors: errno of bpf(2).
[[nodiscard]] Status note_part(int map);

// Of a pin of that map. Errors: errno of bpf(2).
[[nodiscard]] Result<Part> read_part(int map);

// Errors: `active` is not for this binary. They say who is who, and what to do.
[[nodiscard]] Status require_readable(const Part& active);

}  // namespace bpfwarden::loader
