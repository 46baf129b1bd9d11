// Lines in a file that does not grow without end: FILE, then FILE.1 and so on, oldest last.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace bpfwarden::loader {

struct EventFileOptions {
  std::filesystem::path path;
  uint64_t max_bytes = 64 << 20;  // of each file; a longer line has a file for itself
  unsigned keep = 8;              // rotated files; 0: none
};

class EventFile {
 public:
  // Goes on where the file ends; makes it with mode 0640 where there is none. Errors: errno of
  // open(2).
  [[nodiscard]] static Result<EventFile> open(const EventFileOptions& options);

  // The whole line and a newline, or nothing at all: what a full disk has taken of it is cut off
  // again. It may be tried again then. Errors: errno of write(2), rename(2) or open(2).
  [[nodiscard]] Status write(std::string_view line);

 private:
  EventFile(const EventFileOptions& options, Fd fd, uint64_t size)
      : options_(options), fd_(std::move(fd)), size_(size) {}
  [[nodiscard]] Status rotate();

  EventFileOptions options_;
  Fd fd_;
  uint64_t size_;
};

// Follows such a file as another process writes it: what is appended from now on, in whichever file
// that ends up.
class FollowedEventFile {
 public:
  // Errors: errno of open(2).
  [[nodiscard]] static Result<FollowedEventFile> open(const std::filesystem::path& path);

  // The whole lines that have come, without their newlines, from the oldest file on. Errors: errno
  // of read(2) or open(2).
  [[nodiscard]] Result<std::vector<std::string>> read();

 private:
  FollowedEventFile(std::filesystem::path path, Fd fd, uint64_t position)
      : path_(std::move(path)), fd_(std::move(fd)), position_(position) {}
  [[nodiscard]] Status take_lines(std::vector<std::string>& lines);
  [[nodiscard]] Result<std::vector<Fd>> newer_files() const;

  std::filesystem::path path_;
  Fd fd_;
  uint64_t position_;  // behind the last whole line that was read
};

}  // namespace bpfwarden::loader
