// Whole files in and out of memory, with a limit: what keyring/ reads comes from others.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "base/result.h"

namespace bpfwarden::keyring {

// Reads all of `path` (a regular file or a pipe). Errors: errno of open(2) or read(2); more than
// `limit` bytes.
[[nodiscard]] Result<std::vector<uint8_t>> read_file(const std::filesystem::path& path,
                                                     size_t limit);

// Makes `path` hold exactly `bytes`: a temporary file beside it, fsync(2), rename(2).
// A reader, or a crash at any point, meets the old file or the whole new one. On failure `path` is
// as it was and the temporary file is gone. Errors: errno of the call that failed.
[[nodiscard]] Status replace_file(const std::filesystem::path& path, std::span<const uint8_t> bytes,
                                  mode_t mode = 0644);

// Likewise, but only where nothing is yet. Errors: EEXIST.
[[nodiscard]] Status create_file(const std::filesystem::path& path, std::span<const uint8_t> bytes,
                                 mode_t mode);

}  // namespace bpfwarden::keyring
