// Loads with a signature, on every kernel: one that it does not verify goes beside the call, to the
// kernel part (library/bpfwarden/load.h, docs/adr/0019).
#pragma once

#include <linux/bpf.h>

namespace bpfwarden::loader {

// The kernel has no place for it; or, where it covers a map, would verify it over less.
[[nodiscard]] bool signatures_go_beside(bool covers_map);

// BPF_PROG_LOAD. `attr` as Linux 7.3 takes it; where a kernel has no place for its signature, that
// is put beside. Whether that covers a map says `fd_array_cnt`: the one that this thread made last,
// as make_exclusive() has it. Returns a descriptor, or -1 and errno: EAGAIN or EBUSY where trying
// again may help, ENOPKG where there is nobody who would verify.
int load_signed(bpf_attr& attr);

// Of a BPF_MAP_CREATE: for one program alone, by its hash where the kernel has such maps; and of
// the shape that the kernel part keeps for one program alone, where it is the one that verifies.
void make_exclusive(bpf_attr& attr, const void* hash, unsigned size);

}  // namespace bpfwarden::loader
