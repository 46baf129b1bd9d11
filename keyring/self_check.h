// A loader that checks its metadata by itself, for kernels whose signatures cover instructions only
// (Linux 6.18 to 7.2): instructions before the loader's own compare the hash that the kernel took
// of the frozen metadata map (struct bpf_map::sha, filled by BPF_OBJ_GET_INFO_BY_FD with a hash
// buffer) with the one that was signed, and end the run with -EINVAL if they differ.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace bpfwarden::keyring {

// The check, then `insns`. The metadata map must be the first of the loader's fd_array. Jumps in
// BPF are relative, so the loader runs unchanged behind it.
[[nodiscard]] std::vector<uint8_t> with_self_check(std::span<const uint8_t> insns,
                                                   std::span<const uint8_t> metadata);

}  // namespace bpfwarden::keyring
