#include "base/file.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "base/fd.h"

namespace bpfwarden {
namespace {

// Removes the temporary file unless it has been renamed into place.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::filesystem::path& target)
      : name_(target.string() + ".XXXXXX"), fd_(::mkostemp(name_.data(), O_CLOEXEC)) {}
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() {
    if (fd_) ::unlink(name_.c_str());
  }

  [[nodiscard]] int fd() const { return fd_.get(); }
  // `flags` are those of renameat2(2).
  [[nodiscard]] bool rename_to(const std::filesystem::path& target, unsigned flags) {
    if (::renameat2(AT_FDCWD, name_.c_str(), AT_FDCWD, target.c_str(), flags) != 0) return false;
    fd_.reset();
    return true;
  }

 private:
  std::string name_;
  Fd fd_;
};

std::string_view as_text(std::span<const uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// A pipe with somebody at its other end: what has not been written yet is waited for.
bool wait_for_more(int fd) {
  pollfd waiting = {.fd = fd, .events = POLLIN, .revents = 0};
  return ::poll(&waiting, 1, -1) > 0 || errno == EINTR;
}

std::string size_text(size_t bytes) {
  constexpr size_t mebi = size_t{1} << 20;
  return bytes % mebi == 0 ? std::to_string(bytes / mebi) + " MiB"
                           : std::to_string(bytes) + " bytes";
}

Result<std::vector<uint8_t>> read_all(int fd, const std::string& name, size_t limit) {
  std::vector<uint8_t> bytes;
  size_t used = 0;
  for (;;) {
    if (used == bytes.size()) bytes.resize(std::min(limit + 1, used + 65536));
    const ssize_t got = ::read(fd, bytes.data() + used, bytes.size() - used);
    if (got < 0 && (errno == EINTR || (errno == EAGAIN && wait_for_more(fd)))) continue;
    if (got < 0) return fail_errno(errno, name);
    if (got == 0) break;
    used += static_cast<size_t>(got);
    if (used > limit) return fail(name + ": larger than " + size_text(limit));
  }
  bytes.resize(used);
  return bytes;
}

enum class Readable : uint8_t { file, pipe, neither };

Readable readable_as(int fd) {
  struct stat found = {};
  if (::fstat(fd, &found) != 0) return Readable::neither;
  if (S_ISFIFO(found.st_mode)) return Readable::pipe;
  // read(2) refuses a folder in its own words.
  return S_ISREG(found.st_mode) || S_ISDIR(found.st_mode) ? Readable::file : Readable::neither;
}

Status write_file(const std::filesystem::path& path, std::span<const uint8_t> bytes, mode_t mode,
                  unsigned rename_flags) {
  TemporaryFile file(path);
  if (file.fd() < 0) return fail_errno(errno, path.string() + ": cannot create a file beside it");
  if (!write_all(file.fd(), as_text(bytes)) || ::fchmod(file.fd(), mode) != 0 ||
      ::fsync(file.fd()) != 0)
    return fail_errno(errno, path.string() + ": cannot write");
  if (!file.rename_to(path, rename_flags))
    return fail_errno(errno, path.string() + ": cannot be put into place");
  const auto parent = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
  const Fd directory(::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  // Not a failure: the new file is in place; only its surviving a power cut is uncertain.
  if (directory) static_cast<void>(::fsync(directory.get()));
  return {};
}

// Into what is no regular file.
Status write_through(const std::filesystem::path& path, std::span<const uint8_t> bytes) {
  const Fd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOCTTY));
  if (!fd || !write_all(fd.get(), as_text(bytes)))
    return fail_errno(errno, path.string() + ": cannot write");
  return {};
}

Status write_standard_output(std::span<const uint8_t> bytes) {
  if (std::fflush(stdout) != 0 || !write_all(STDOUT_FILENO, as_text(bytes)))
    return fail_errno(errno, "cannot write to standard output");
  return {};
}

// /dev/stdout, by whichever name: a file that this process has open would be replaced under it.
bool is_standard_output(const struct stat& file) {
  struct stat ours = {};
  return ::fstat(STDOUT_FILENO, &ours) == 0 && ours.st_dev == file.st_dev &&
         ours.st_ino == file.st_ino;
}

// Where a link leads, also to what is not there yet.
std::filesystem::path target_of(const std::filesystem::path& path) {
  constexpr int most_links = 40;  // MAXSYMLINKS of the kernel
  std::error_code ignored;        // what cannot be followed fails when it is written
  std::filesystem::path target = path;
  for (int i = 0; i < most_links && std::filesystem::is_symlink(target, ignored); i++)
    target = target.parent_path() / std::filesystem::read_symlink(target, ignored);
  return target;
}

}  // namespace

std::optional<std::string> why_not_read(const std::filesystem::path& path) {
  if (path.filename().string().starts_with('.')) return "its name begins with a dot";
  struct stat found = {};
  if (::stat(path.c_str(), &found) != 0) return std::nullopt;  // to be reported by who reads it
  if (S_ISREG(found.st_mode) || S_ISDIR(found.st_mode)) return std::nullopt;
  return "it is no regular file";
}

Result<std::vector<uint8_t>> read_file(const std::filesystem::path& path, size_t limit) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd) return fail_errno(errno, path.string());
  const Readable as = readable_as(fd.get());
  if (as == Readable::neither) return fail(path.string() + ": neither a file nor a pipe");
  auto bytes = read_all(fd.get(), path.string(), limit);
  if (bytes && bytes->empty() && as == Readable::pipe)
    return fail(path.string() + ": a pipe that nobody writes to");
  return bytes;
}

Result<std::vector<uint8_t>> read_input(const std::filesystem::path& path, size_t limit) {
  return path == kStandardStream ? read_all(STDIN_FILENO, "standard input", limit)
                                 : read_file(path, limit);
}

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    text.remove_prefix(static_cast<size_t>(written));
  }
  return true;
}

Status replace_file(const std::filesystem::path& path, std::span<const uint8_t> bytes,
                    mode_t mode) {
  return write_file(path, bytes, mode, 0);
}

Status create_file(const std::filesystem::path& path, std::span<const uint8_t> bytes, mode_t mode) {
  return write_file(path, bytes, mode, RENAME_NOREPLACE);
}

Status write_output(const std::filesystem::path& path, std::span<const uint8_t> bytes) {
  constexpr mode_t for_all_to_read = 0644;
  if (path == kStandardStream) return write_standard_output(bytes);
  struct stat found = {};
  const bool is_there = ::stat(path.c_str(), &found) == 0;
  if (is_there && is_standard_output(found)) return write_standard_output(bytes);
  if (is_there && S_ISDIR(found.st_mode)) return fail_errno(EISDIR, path.string());
  if (is_there && !S_ISREG(found.st_mode)) return write_through(path, bytes);
  return replace_file(target_of(path), bytes, is_there ? found.st_mode & 07777 : for_all_to_read);
}

Status write_output(const std::filesystem::path& path, std::string_view text) {
  return write_output(path, {reinterpret_cast<const uint8_t*>(text.data()), text.size()});
}

Status require_no_input(const std::filesystem::path& output,
                        std::span<const std::filesystem::path> inputs) {
  std::error_code ignored;  // one that is not there is not the other
  for (const std::filesystem::path& input : inputs)
    if (std::filesystem::is_regular_file(output, ignored) &&
        std::filesystem::equivalent(output, input, ignored))
      return fail(output.string() + " is what is read: it would be overwritten",
                  "name another file to write");
  return {};
}

}  // namespace bpfwarden
