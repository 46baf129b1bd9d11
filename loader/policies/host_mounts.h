// Where the file systems of the host are mounted, as the first process sees them: what the kernel
// part names files by (docs/adr/0014). Plain functions; /proc/PID/mountinfo is described in
// proc(5).
#pragma once

#include <string_view>
#include <vector>

#include "base/result.h"
#include "bpf-lsm/abi/image.h"

namespace bpfwarden::loader {

// What is there to be seen: without what is mounted over, and what has paths of more than 127
// bytes. The shortest mount points come first; of more than BW_MAX_MOUNTS the rest is left out.
// As they will be once the file system at `next_root` has become the root, if there is one: an
// initramfs moves its own there, all but its root.
[[nodiscard]] std::vector<bw_mount> visible_mounts(std::string_view mountinfo,
                                                   std::string_view next_root = {});

// Into the image, with the time. Errors: they cannot be read.
[[nodiscard]] Status note_mounts(bw_image& image, std::string_view next_root = {});

// Whether files have the same names by both.
[[nodiscard]] bool have_same_mounts(const bw_image& left, const bw_image& right);

}  // namespace bpfwarden::loader
