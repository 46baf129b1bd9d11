// The guard of a sealed host: programs of LSM_CGROUP on the root cgroup
// (bpf-lsm/seal/guard_hooks.bpf.h). No descriptor, pin or mount holds them, so nothing that can be
// taken away takes them away. They must be attached before the hooks that they stand behind
// (kernel/bpf/trampoline.c runs what was attached last first), and do nothing until the host is
// sealed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/result.h"

struct bpf_object_skeleton;
struct bpf_program;

namespace bpfwarden::loader {

[[nodiscard]] bool is_guard(const bpf_program* program);

using ProgramIds = std::vector<uint32_t>;

// Of a loaded skeleton whose hooks are not attached yet; all or none. `kept`: the guard of the
// hooks that are active; any other goes. Errors: a program of somebody else's is attached as
// LSM_CGROUP, with its name and cgroup; this process is in a cgroup namespace; errno of
// BPF_PROG_ATTACH where the kernel has no room.
[[nodiscard]] Status attach_guard(const bpf_object_skeleton& skeleton, const ProgramIds& kept);

// What `off` does of a host that is not sealed, and what is done with a guard whose hooks went with
// a run that was killed: all but `kept`. Errors: errno of bpf(2).
[[nodiscard]] Status detach_guard(const ProgramIds& kept = {});

// These, which were noted with the hooks, are one, and all are attached. Of a host that is not
// sealed: another tells nobody.
[[nodiscard]] Result<bool> has_guard(const ProgramIds& noted);

}  // namespace bpfwarden::loader
