#include "loader/text/systemd_unit.h"

#include <algorithm>
#include <array>

namespace bpfwarden::loader {
namespace {

constexpr auto kRunning = std::to_array<std::string_view>(
    {".service", ".scope", ".socket", ".mount", ".swap", ".automount"});

bool has_ending(std::string_view name, std::string_view ending) {
  return name.size() > ending.size() && name.ends_with(ending);
}

bool runs_something(std::string_view name) {
  return std::ranges::any_of(kRunning, [&](auto ending) { return has_ending(name, ending); });
}

}  // namespace

std::string unit_of_cgroup(std::string_view path) {
  std::string_view unit, slice;
  while (!path.empty()) {
    const size_t end = std::min(path.find('/'), path.size());
    const std::string_view name = path.substr(0, end);
    if (runs_something(name)) unit = name;
    if (has_ending(name, ".slice")) slice = name;
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return std::string(unit.empty() ? slice : unit);
}

}  // namespace bpfwarden::loader
