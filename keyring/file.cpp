#include "keyring/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "base/fd.h"

namespace bpfwarden::keyring {
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

bool write_all(int fd, std::span<const uint8_t> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
  return true;
}

Status write_file(const std::filesystem::path& path, std::span<const uint8_t> bytes, mode_t mode,
                  unsigned rename_flags) {
  TemporaryFile file(path);
  if (file.fd() < 0) return fail_errno(errno, path.string() + ": cannot create a file beside it");
  if (!write_all(file.fd(), bytes) || ::fchmod(file.fd(), mode) != 0 || ::fsync(file.fd()) != 0)
    return fail_errno(errno, path.string() + ": cannot write");
  if (!file.rename_to(path, rename_flags))
    return fail_errno(errno, path.string() + ": cannot be put into place");
  const auto parent = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
  const Fd directory(::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  // Not a failure: the new file is in place; only its surviving a power cut is uncertain.
  if (directory) static_cast<void>(::fsync(directory.get()));
  return {};
}

}  // namespace

Result<std::vector<uint8_t>> read_file(const std::filesystem::path& path, size_t limit) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return fail_errno(errno, path.string());
  std::vector<uint8_t> bytes;
  size_t used = 0;
  for (;;) {
    if (used == bytes.size()) bytes.resize(std::min(limit + 1, used + 65536));
    const ssize_t got = ::read(fd.get(), bytes.data() + used, bytes.size() - used);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno(errno, path.string());
    if (got == 0) break;
    used += static_cast<size_t>(got);
    if (used > limit)
      return fail(path.string() + ": larger than " + std::to_string(limit) + " bytes");
  }
  bytes.resize(used);
  return bytes;
}

Status replace_file(const std::filesystem::path& path, std::span<const uint8_t> bytes,
                    mode_t mode) {
  return write_file(path, bytes, mode, 0);
}

Status create_file(const std::filesystem::path& path, std::span<const uint8_t> bytes, mode_t mode) {
  return write_file(path, bytes, mode, RENAME_NOREPLACE);
}

}  // namespace bpfwarden::keyring
