// Where file systems of one type are mounted, as this process sees it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace bpfwarden::loader {

// In the order of /proc/self/mounts (getmntent(3), which undoes its escapes); nothing if that
// cannot be read.
[[nodiscard]] std::vector<std::string> mounted(std::string_view type);

}  // namespace bpfwarden::loader
