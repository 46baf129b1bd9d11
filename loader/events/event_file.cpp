#include "loader/events/event_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>

#include "base/file.h"

namespace bpfwarden::loader {
namespace {

constexpr mode_t kMode = 0640;

std::filesystem::path rotated(const std::filesystem::path& path, unsigned number) {
  return number == 0 ? path : std::filesystem::path(path.string() + "." + std::to_string(number));
}

Result<Fd> open_for_append(const std::filesystem::path& path) {
  Fd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, kMode));
  if (!fd) return fail_errno(errno, "cannot open " + path.string());
  return fd;
}

}  // namespace

Result<EventFile> EventFile::open(const EventFileOptions& options) {
  auto fd = open_for_append(options.path);
  if (!fd) return std::unexpected(std::move(fd).error());
  struct stat found = {};
  if (::fstat(fd->get(), &found) != 0)
    return fail_errno(errno, "cannot look at " + options.path.string());
  return EventFile(options, std::move(*fd), static_cast<uint64_t>(found.st_size));
}

// From the oldest on, each takes the place of the one before it.
Status EventFile::rotate() {
  std::error_code error;
  for (unsigned number = options_.keep; number > 0; number--) {
    const auto from = rotated(options_.path, number - 1);
    if (!std::filesystem::exists(from, error)) continue;
    std::filesystem::rename(from, rotated(options_.path, number), error);
    if (error) return fail_errno(error.value(), "cannot rename " + from.string());
  }
  if (options_.keep == 0) std::filesystem::remove(options_.path, error);
  auto fd = open_for_append(options_.path);
  if (!fd) return std::unexpected(std::move(fd).error());
  fd_ = std::move(*fd);
  size_ = 0;
  return {};
}

Status EventFile::write(std::string_view line) {
  const std::string whole = std::string(line) + "\n";
  if (size_ != 0 && size_ + whole.size() > options_.max_bytes)
    if (Status done = rotate(); !done) return done;
  if (!write_all(fd_.get(), whole)) {
    const int code = errno;
    if (::ftruncate(fd_.get(), static_cast<off_t>(size_)) != 0)
      return fail_errno(errno, options_.path.string() + " ends in half a line");
    return fail_errno(code, options_.path.string() + ": cannot write");
  }
  size_ += whole.size();
  return {};
}

}  // namespace bpfwarden::loader
