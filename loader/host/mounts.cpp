#include "loader/host/mounts.h"

#include <mntent.h>

#include <array>
#include <cstdio>
#include <memory>

namespace bpfwarden::loader {

std::vector<std::string> mounted(std::string_view type) {
  std::vector<std::string> folders;
  const std::unique_ptr<FILE, int (*)(FILE*)> mounts(::setmntent("/proc/self/mounts", "re"),
                                                     ::endmntent);
  if (!mounts) return folders;
  mntent entry = {};
  std::array<char, 8192> text = {};
  while (::getmntent_r(mounts.get(), &entry, text.data(), text.size()) != nullptr)
    if (entry.mnt_type == type) folders.emplace_back(entry.mnt_dir);
  return folders;
}

}  // namespace bpfwarden::loader
