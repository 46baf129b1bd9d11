#include "loader/events/event_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <set>
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

Result<FollowedEventFile> FollowedEventFile::open(const std::filesystem::path& path) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  const off_t end = fd ? ::lseek(fd.get(), 0, SEEK_END) : -1;
  if (end < 0) return fail_errno(errno, "cannot read " + path.string());
  return FollowedEventFile(path, std::move(fd), static_cast<uint64_t>(end));
}

// Half a line stays: its writer may cut it off again.
Status FollowedEventFile::take_lines(std::vector<std::string>& lines) {
  constexpr size_t chunk = 64 << 10;
  std::string text;
  for (ssize_t size = 1; size != 0;) {
    const size_t had = text.size();
    text.resize(had + chunk);
    size = ::pread(fd_.get(), text.data() + had, chunk, static_cast<off_t>(position_ + had));
    if (size < 0) return fail_errno(errno, "cannot read " + path_.string());
    text.resize(had + static_cast<size_t>(size));
  }
  size_t begin = 0;
  for (size_t end = 0; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1)
    lines.push_back(text.substr(begin, end - begin));
  position_ += begin;
  return {};
}

// Those that were begun since ours was renamed, the oldest first; none where it still has its name,
// or where a new one is just being made.
Result<std::vector<Fd>> FollowedEventFile::newer_files() const {
  const auto number_of = [](const struct stat& file) {
    return std::pair(file.st_dev, file.st_ino);
  };
  struct stat found = {};
  if (::fstat(fd_.get(), &found) != 0) return fail_errno(errno, "cannot look at " + path_.string());
  const auto ours = number_of(found);
  std::vector<Fd> newer;
  std::set<std::pair<dev_t, ino_t>> met;  // one is found twice if it is renamed meanwhile
  for (unsigned number = 0;; number++) {
    Fd fd(::open(rotated(path_, number).c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd && errno != ENOENT) return fail_errno(errno, "cannot read " + path_.string());
    if (!fd && number == 0) return std::vector<Fd>();
    if (!fd || ::fstat(fd.get(), &found) != 0 || number_of(found) == ours) return newer;
    if (met.insert(number_of(found)).second) newer.insert(newer.begin(), std::move(fd));
  }
}

// A file that was renamed gets no more lines once a newer one is there.
Result<std::vector<std::string>> FollowedEventFile::read() {
  auto newer = newer_files();
  if (!newer) return std::unexpected(std::move(newer).error());
  std::vector<std::string> lines;
  if (Status done = take_lines(lines); !done) return std::unexpected(std::move(done).error());
  for (Fd& fd : *newer) {
    fd_ = std::move(fd);
    position_ = 0;
    if (Status done = take_lines(lines); !done) return std::unexpected(std::move(done).error());
  }
  return lines;
}

}  // namespace bpfwarden::loader
