#include "loader/host/network_namespaces.h"

#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <thread>

#include "loader/host/mounts.h"
#include "loader/text/kernel_text.h"

namespace bpfwarden::loader {
namespace {

constexpr std::string_view kNamed = "/run/netns/";

// Returns whether it was new; its name is still to be given.
bool add(const std::string& path, std::vector<NetworkNamespace>& spaces) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat found = {};
  if (!fd || ::ioctl(fd.get(), NS_GET_NSTYPE) != CLONE_NEWNET || ::fstat(fd.get(), &found) != 0)
    return false;
  if (std::ranges::find(spaces, found.st_ino, &NetworkNamespace::inode) != spaces.end())
    return false;
  spaces.push_back({.inode = found.st_ino, .name = {}, .fd = std::move(fd)});
  return true;
}

void add_mounted(std::vector<NetworkNamespace>& spaces) {
  for (const std::string& path : mounted("nsfs"))
    if (add(path, spaces))
      spaces.back().name = path.starts_with(kNamed) ? path.substr(kNamed.size()) : path;
}

void add_of_processes(std::vector<NetworkNamespace>& spaces) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    const std::string pid = entry.path().filename();
    if (!std::ranges::all_of(pid, [](unsigned char c) { return std::isdigit(c) != 0; })) continue;
    if (!add(entry.path() / "ns/net", spaces)) continue;
    std::string comm;
    std::getline(std::ifstream(entry.path() / "comm"), comm);
    spaces.back().name = "net:[" + std::to_string(spaces.back().inode) + "] of " +
                         kernel_text(comm.data(), comm.size()) + " (" + pid + ")";
  }
}

}  // namespace

Result<std::vector<NetworkNamespace>> find_network_namespaces() {
  std::vector<NetworkNamespace> spaces;
  if (!add("/proc/self/ns/net", spaces))
    return fail_errno(errno, "cannot open /proc/self/ns/net", "mount /proc, and run as root");
  add_mounted(spaces);
  add_of_processes(spaces);
  return spaces;
}

Status visit_network(const NetworkNamespace& where, const std::function<void()>& visit) {
  int error = 0;
  std::thread([&] {
    if (::setns(where.fd.get(), CLONE_NEWNET) == 0)
      visit();
    else
      error = errno;
  }).join();
  if (error == 0) return {};
  return fail_errno(error, "cannot look into network namespace " + where.name, "run as root");
}

}  // namespace bpfwarden::loader
