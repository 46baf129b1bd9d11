// Whole files in and out of memory, with a limit: what is read comes from others, and what is
// written is named by people, who name devices and links as well.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace bpfwarden {

// Where a command line says "-": standard output, or standard input.
inline constexpr std::string_view kStandardStream = "-";

// Reads all of `path`: a regular file, or a pipe that somebody writes to. Errors: errno of open(2)
// or read(2); more than `limit` bytes; a device or a socket; a FIFO that nobody writes to, for
// which others would wait.
[[nodiscard]] Result<std::vector<uint8_t>> read_file(const std::filesystem::path& path,
                                                     size_t limit);
// Likewise, or standard input for "-".
[[nodiscard]] Result<std::vector<uint8_t>> read_input(const std::filesystem::path& path,
                                                      size_t limit);

// Of a file that was found in a folder rather than named: why it is passed over. Locks and copies
// of editors, FIFOs and devices (a link to /dev/null masks a file) are; nothing else.
[[nodiscard]] std::optional<std::string> why_not_read(const std::filesystem::path& path);

// Over short writes and EINTR. False: errno of write(2), and some of it may have been written.
[[nodiscard]] bool write_all(int fd, std::string_view text);

// Makes `path` hold exactly `bytes`: a temporary file beside it, fsync(2), rename(2).
// A reader, or a crash at any point, meets the old file or the whole new one. On failure `path` is
// as it was and the temporary file is gone. Errors: errno of the call that failed.
[[nodiscard]] Status replace_file(const std::filesystem::path& path, std::span<const uint8_t> bytes,
                                  mode_t mode = 0644);

// Likewise, but only where nothing is yet. Errors: EEXIST.
[[nodiscard]] Status create_file(const std::filesystem::path& path, std::span<const uint8_t> bytes,
                                 mode_t mode);

// What a person named to write to. "-" is standard output. A link stays, and what it leads to is
// replaced; so is a regular file, which keeps its mode. Devices, pipes and the like are written to.
// Errors: of replace_file(), open(2) and write(2); a folder.
[[nodiscard]] Status write_output(const std::filesystem::path& path,
                                  std::span<const uint8_t> bytes);
[[nodiscard]] Status write_output(const std::filesystem::path& path, std::string_view text);

// Refuses an output that is one of the inputs, by whichever name: it would be gone.
[[nodiscard]] Status require_no_input(const std::filesystem::path& output,
                                      std::span<const std::filesystem::path> inputs);

}  // namespace bpfwarden
