#include "loader/kernel/reader_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "loader/kernel/pins.h"

namespace bpfwarden::loader {
namespace {

namespace fs = std::filesystem;

// As fs/locks.c prints where a lock is: "00:1f:12345".
std::string place_of_lock(const struct stat& folder) {
  std::array<char, 64> text = {};
  std::snprintf(text.data(), text.size(), "%02x:%02x:%llu", major(folder.st_dev),
                minor(folder.st_dev), static_cast<unsigned long long>(folder.st_ino));
  return text.data();
}

// "1: FLOCK  ADVISORY  WRITE 71 00:1f:12345 0 EOF". Who waits has "->" after the number.
pid_t holder_of_lock(const std::string& place) {
  std::ifstream locks("/proc/locks");
  for (std::string line; std::getline(locks, line);) {
    std::istringstream words(line);
    std::string number, kind, manner, access, where;
    pid_t pid = 0;
    if (words >> number >> kind >> manner >> access >> pid >> where && kind == "FLOCK" &&
        where == place)
      return pid;
  }
  return 0;
}

std::string folder_of(pid_t pid) { return "/proc/" + std::to_string(pid); }

std::string name_of(pid_t pid) {
  std::ifstream file(folder_of(pid) + "/comm");
  std::string name;
  std::getline(file, name);
  return name;
}

// As EventFile opens it.
bool appends(pid_t pid, const std::string& descriptor) {
  std::ifstream info(folder_of(pid) + "/fdinfo/" + descriptor);
  for (std::string word; info >> word;) {
    if (word != "flags:") continue;
    unsigned flags = 0;
    info >> std::oct >> flags;
    return (flags & O_ACCMODE) == O_WRONLY && (flags & O_APPEND) != 0;
  }
  return false;
}

bool is_same_file(const std::string& left, const std::string& right) {
  struct stat one = {}, other = {};
  return ::stat(left.c_str(), &one) == 0 && ::stat(right.c_str(), &other) == 0 &&
         one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

void find_file(StreamReader& reader) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder_of(reader.pid) + "/fd", error)) {
    const std::string number = entry.path().filename();
    if (number.size() == 1 && number[0] <= '2') continue;  // what it prints
    if (!fs::is_regular_file(entry.path(), error) || !appends(reader.pid, number)) continue;
    reader.file = fs::read_symlink(entry.path(), error);
    reader.is_file_seen = is_same_file(entry.path(), reader.file);
    return;
  }
}

}  // namespace

Result<std::optional<ReaderLock>> ReaderLock::try_take() {
  Fd folder(::open(kPinFolder, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder && errno == ENOENT)
    return std::unexpected(Error{ENOENT, "the policy was just turned off", ""});
  if (!folder) return unopened_pin(errno, kPinFolder);
  if (::flock(folder.get(), LOCK_EX | LOCK_NB) == 0) return ReaderLock(std::move(folder));
  if (errno == EWOULDBLOCK) return std::nullopt;
  return fail_errno(errno, std::string("cannot lock ") + kPinFolder);
}

bool ReaderLock::is_current() const {
  struct stat held = {}, there = {};
  return ::fstat(folder_.get(), &held) == 0 && ::stat(kPinFolder, &there) == 0 &&
         held.st_dev == there.st_dev && held.st_ino == there.st_ino;
}

std::optional<StreamReader> find_stream_reader() {
  if (const auto lock = ReaderLock::try_take(); !lock || *lock) return std::nullopt;
  struct stat folder = {};
  StreamReader reader;
  if (::stat(kPinFolder, &folder) == 0) reader.pid = holder_of_lock(place_of_lock(folder));
  if (reader.pid == 0) return reader;
  reader.comm = name_of(reader.pid);
  find_file(reader);
  return reader;
}

std::string reader_text(const StreamReader& reader) {
  if (reader.pid == 0) return "a process of another PID namespace";
  return (reader.comm.empty() ? "somebody" : reader.comm) + " (pid " + std::to_string(reader.pid) +
         ")";
}

}  // namespace bpfwarden::loader
