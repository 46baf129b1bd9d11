// The network namespaces that can be reached from here: the caller's own, those of running
// processes, and those that are mounted, as `ip netns add` and container engines do. One that only
// a socket or a file descriptor keeps alive is not found.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace bpfwarden::loader {

struct NetworkNamespace {
  uint64_t inode = 0;
  std::string name;  // "blue" of /run/netns, the path of another mount, or "net:[…] of nginx (71)";
                     // empty for the caller's own
  Fd fd;
};

// The caller's own first. Errors: errno of open(2), if not even that can be opened.
[[nodiscard]] Result<std::vector<NetworkNamespace>> find_network_namespaces();

// Calls `visit` on a thread that has moved there: the caller stays where it is. Errors: errno of
// setns(2).
[[nodiscard]] Status visit_network(const NetworkNamespace& where,
                                   const std::function<void()>& visit);

}  // namespace bpfwarden::loader
