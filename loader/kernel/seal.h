// The seal of the maps in the kernel: from then to the next boot no process can write what decides,
// nor what says who may look (BPF_MAP_FREEZE, kernel/bpf/syscall.c), by whichever descriptor. What
// tools have to write stays: the rings of events.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "bpf-lsm/abi/program.h"

namespace bpfwarden::loader {

[[nodiscard]] bool is_sealed(const bw_control& word);

// No process can write this map any more: of `control`, that is the seal.
[[nodiscard]] bool is_frozen(int map);

// A seal that is written and not closed, for whoever wrote it was killed, is none: takes it out of
// `word`, which is of this map.
void drop_unfinished_seal(int control, bw_control& word);

// Of a host that is: Unix seconds. Now it is `boot_ns` (CLOCK_BOOTTIME) and `unix_seconds`.
[[nodiscard]] int64_t sealed_since(const bw_control& word, uint64_t boot_ns, int64_t unix_seconds);

// Of the pinned maps. `word`: the control word that stays, since when included. Killed half-way it
// leaves a host that is not sealed, and may be run again. Errors: errno of bpf(2); a program of
// somebody else's could write them.
[[nodiscard]] Status seal_maps(const bw_control& word);

// Errors: the kernel part has let go of the host, by a signed order (`off` was ended on its way).
[[nodiscard]] Status require_unreleased(const bw_control& word);

// Errors: the host is sealed; says what changes the policy then.
[[nodiscard]] Status require_unsealed(const bw_control& word);

}  // namespace bpfwarden::loader
