// Harmless tries of what the hooks need: programs that return 0, attached for a moment. The
// kernel's answer counts, whatever its configuration says.
#pragma once

#include <string>
#include <vector>

namespace bpfwarden::loader {

struct Trial {
  std::string what;  // "an LSM program"
  int error = 0;     // errno of loading or attaching; 0: it was attached, and is gone again
  bool was_loaded = false;
};

// One of each kind. Needs root, and the kernel's BTF. Not for a host where a policy is active: its
// hooks are attached already, and it may refuse these.
[[nodiscard]] std::vector<Trial> try_each_kind();

// Whether this process runs under a filter of seccomp(2), as in containers.
[[nodiscard]] bool is_filtered();

}  // namespace bpfwarden::loader
