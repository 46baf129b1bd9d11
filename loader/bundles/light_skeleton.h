// The steps of a signed light skeleton with raw bpf(2): an exclusive, frozen metadata map, the
// signed loader, one run. No feature probe, so nothing unsigned is loaded.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace bpfwarden::loader {

// Borrowed bytes.
struct LightSkeleton {
  std::span<const uint8_t> insns;
  std::span<const uint8_t> metadata;
  std::span<const uint8_t> signature;
  bool asks_for_hash = false;  // insns compare the map's hash: see keyring/self_check.h
};

// Filled and frozen, for these instructions only. Errors: errno of the step.
[[nodiscard]] Result<Fd> make_metadata_map(const LightSkeleton& skeleton);

// Errors: EPERM from a policy, EKEYREJECTED, ENOKEY or EBADMSG from the signature check.
[[nodiscard]] Result<Fd> load_loader(const LightSkeleton& skeleton, const Fd& map, int32_t keyring);

// What gen_loader's program reads and writes: struct bpf_loader_ctx, then one bpf_map_desc a map
// and one bpf_prog_desc a program, all empty.
[[nodiscard]] std::vector<uint8_t> loader_context(size_t maps, size_t programs);

// The loader writes its file descriptors into `context`. Errors: of the run, or what the loader
// returned.
[[nodiscard]] Status run_loader(const Fd& loader, std::span<uint8_t> context);

}  // namespace bpfwarden::loader
