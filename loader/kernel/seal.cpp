#include "loader/kernel/seal.h"

#include <bpf/bpf.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "bpf-lsm/abi/part.h"
#include "loader/kernel/own_objects.h"
#include "loader/kernel/pins.h"
#include "loader/kernel/writers.h"

namespace bpfwarden::loader {
namespace {

constexpr std::string_view kMapPin = "map_";
// Frozen last: until then the policy can still be changed.
constexpr std::array<std::string_view, 2> kDeciding = {"generations", "control"};
// The kernel freezes none that holds work of a task, or a lock. Whoever is sealed out has no
// descriptor of the first; into the second loaders put their signatures.
bool can_be_frozen(std::string_view map) { return map != "ends" && map != kLoadSignatures; }

struct PinnedMap {
  std::string name;
  Fd fd;
};

bool decides(const PinnedMap& map) {
  return std::ranges::find(kDeciding, map.name) != kDeciding.end();
}

Result<std::vector<PinnedMap>> open_all() {
  std::vector<PinnedMap> maps;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(kPinFolder, error)) {
    const std::string name = entry.path().filename();
    if (!name.starts_with(kMapPin)) continue;
    PinnedMap map = {name.substr(kMapPin.size()), Fd()};
    if (is_written_by_tools(map.name) || !can_be_frozen(map.name)) continue;
    map.fd = Fd(bpf_obj_get(entry.path().c_str()));
    if (!map.fd) return fail_errno(errno, "cannot open " + entry.path().string());
    maps.push_back(std::move(map));
  }
  if (error) return fail_errno(error.value(), std::string("cannot look into ") + kPinFolder);
  return maps;
}

// Of one that is frozen already no descriptor may write, and freezing needs one that may: EPERM.
Status freeze(const PinnedMap& map) {
  if (bpf_map_freeze(map.fd.get()) == 0 || errno == EPERM) return {};
  return fail_errno(errno, "cannot freeze the map " + map.name);
}

Status write_seal(const PinnedMap& control, const bw_control& word) {
  constexpr uint32_t key = 0;
  if (bpf_map_update_elem(control.fd.get(), &key, &word, BPF_ANY) != 0)
    return fail_errno(errno, "cannot write the control word");
  return freeze(control);
}

// Who had put them to sleep beforehand would have a host that is sealed, and keeps nothing.
Status require_awake(const PinnedMap& successor) {
  constexpr uint32_t key = 0;
  bw_successor other = {};
  if (bpf_map_lookup_elem(successor.fd.get(), &key, &other) != 0)
    return fail_errno(errno, "cannot read the map successor");
  if (other.is_asleep == 0) return {};
  return fail("the hooks have been put to sleep", "a reboot brings the confirmed policy back");
}

// Once it is sealed none is loaded any more (binds_own(), bpf-lsm/seal/own_objects.bpf.h).
Status look_for_writers(const std::vector<PinnedMap>& maps) {
  const auto own = std::ranges::find(maps, "own", &PinnedMap::name);
  if (own == maps.end()) return fail("the map own is not pinned");
  return require_no_writers(own->fd.get());
}

}  // namespace

bool is_sealed(const bw_control& word) { return word.sealed_ns != 0 && word.released_ns == 0; }

Status require_unreleased(const bw_control& word) {
  if (word.released_ns == 0) return {};
  return fail(
      "a signed order has ended the policy: its hooks are there, and decide nothing any more",
      "run `bpfwarden off`, which takes them away");
}

bool is_frozen(int map) {
  std::ifstream info("/proc/self/fdinfo/" + std::to_string(map));
  for (std::string name, value; info >> name >> value;)
    if (name == "frozen:" && value == "0") return false;
  return true;
}

void drop_unfinished_seal(int control, bw_control& word) {
  if (word.sealed_ns != 0 && !is_frozen(control)) word.sealed_ns = 0;
}

int64_t sealed_since(const bw_control& word, uint64_t boot_ns, int64_t unix_seconds) {
  constexpr uint64_t second = 1'000'000'000;
  return unix_seconds - static_cast<int64_t>((boot_ns - word.sealed_ns) / second);
}

Status seal_maps(const bw_control& word) {
  const auto maps = open_all();
  if (!maps) return std::unexpected(maps.error());
  if (auto none = look_for_writers(*maps); !none) return none;
  for (const PinnedMap& map : *maps)
    if (!decides(map))
      if (auto frozen = freeze(map); !frozen) return frozen;
  const auto successor = std::ranges::find(*maps, "successor", &PinnedMap::name);
  if (successor == maps->end()) return fail("the map successor is not pinned");
  if (auto awake = require_awake(*successor); !awake) return awake;
  for (const std::string_view name : kDeciding) {
    const auto map = std::ranges::find(*maps, name, &PinnedMap::name);
    if (map == maps->end()) return fail("the map " + std::string(name) + " is not pinned");
    auto done = map->name == "control" ? write_seal(*map, word) : freeze(*map);
    if (!done) return done;
  }
  return {};
}

Status require_unsealed(const bw_control& word) {
  if (!is_sealed(word)) return {};
  return fail("the host is sealed: until the next boot the policy stays as it is",
              "`bpfwarden status` says since when, and what could change it");
}

}  // namespace bpfwarden::loader
