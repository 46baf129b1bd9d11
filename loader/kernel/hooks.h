// Which hooks there should be, and which there are. The manager writes down each link that it has
// attached, in a map that nobody can write to then; the kernel is asked for each by its number, so
// that a pin which lies elsewhere does not deceive, and one that is gone is found even while a
// file of its name is there. Where a sealed host tells no numbers, its pin says that it is there.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "bpf-lsm/abi/program.h"
#include "loader/kernel/pins.h"

struct bpf_object_skeleton;
struct bpf_prog_skeleton;

namespace bpfwarden::loader {

struct Hooks {
  std::vector<std::string> attached, missing;  // "warden_prog_load"
  std::vector<uint32_t> programs;              // ids, of those that are attached
  uint64_t skipped = 0;  // runs of theirs that the kernel left out: bpf_prog_info.recursion_misses

  [[nodiscard]] size_t expected() const { return attached.size() + missing.size(); }
};

// Of one program of a skeleton. A guard is behind no link; of what is neither attached nor a guard
// all numbers are 0. Errors: errno of bpf(2).
[[nodiscard]] Result<bw_attached_hook> attached_hook(const bpf_prog_skeleton& program);

// Of a loaded and attached skeleton, into its map `hooks`. Errors: errno of bpf(2).
[[nodiscard]] Status note_hooks(const bpf_object_skeleton& skeleton, int map);

// Errors: errno of bpf(2).
[[nodiscard]] Result<std::vector<bw_attached_hook>> noted_hooks(const PinnedMaps& pins);
[[nodiscard]] Result<Hooks> read_hooks(const PinnedMaps& pins);

// Those that no link holds, and whether all of them are attached.
[[nodiscard]] Result<std::vector<uint32_t>> noted_guard(const PinnedMaps& pins);
[[nodiscard]] Result<bool> is_guarded(const PinnedMaps& pins);

// "28 of 30 hooks: warden_prog, warden_prog_load are gone"; empty if none is.
[[nodiscard]] std::string missing_hooks_text(const Hooks& hooks);

inline constexpr const char* kMissingHooksHint =
    "find out who took them away; a reboot brings them back with the saved policy, `bpfwarden off "
    "&& bpfwarden apply POLICY` at once: until it is applied, nothing is decided";

// The ids of the programs in them, wherever their links are pinned; none where nothing is.
[[nodiscard]] std::vector<uint32_t> own_programs();

}  // namespace bpfwarden::loader
