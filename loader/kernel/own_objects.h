// Which objects in the kernel are bpfwarden's own, and which executables its managers: noted for
// the kernel part, which tells of everybody else who reaches for them
// (bpf-lsm/seal/own_objects.bpf.h).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

struct bpf_object_skeleton;

namespace bpfwarden::loader {

// Loaders whose signatures the kernel does not verify put them there.
inline constexpr std::string_view kLoadSignatures = "load_signatures";

// Of a loaded and attached skeleton, and of the folder that its pins are in, into its map `own`.
// Errors: errno of bpf(2), or of what says which folder that is.
[[nodiscard]] Status note_own_objects(const bpf_object_skeleton& skeleton,
                                      const std::string& pin_folder);

// A map that is made later, which tools read. By the pin of the map `own`.
[[nodiscard]] Status note_own_map(uint32_t id, const std::string& name);

// Maps that tools write into, on a sealed host too: how far they have read.
[[nodiscard]] bool is_written_by_tools(std::string_view map);

// The executable of this process becomes a manager, by the pin of the map `managers`, which the
// kernel part tells of; nothing is written where it is one already. `root`: of another root the
// file of the same path, or empty. Errors: errno of bpf(2), or of what says which file that is.
[[nodiscard]] Status introduce_manager(const std::string& pin, const std::string& root = {});

// The same, by a descriptor of the map, before there is a pin.
[[nodiscard]] Status note_manager(int managers, const std::string& root = {});

}  // namespace bpfwarden::loader
