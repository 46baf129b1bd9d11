// The systemd unit that a cgroup belongs to, by the names that systemd gives cgroups
// (systemd.unit(5)).
#pragma once

#include <string>
#include <string_view>

namespace bpfwarden::loader {

// "/system.slice/agent.service/worker" -> "agent.service": the innermost unit that runs something.
// Of a path with slices alone the innermost slice; empty if there is none.
[[nodiscard]] std::string unit_of_cgroup(std::string_view path);

}  // namespace bpfwarden::loader
