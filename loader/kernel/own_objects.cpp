#include "loader/kernel/own_objects.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <string_view>

#include "base/fd.h"
#include "bpf-lsm/abi/image.h"
#include "bpf-lsm/abi/own.h"
#include "loader/kernel/hooks.h"
#include "loader/kernel/pins.h"
#include "loader/kernel/skeleton_entry.h"

namespace bpfwarden::loader {
namespace {

constexpr const char* kExecutable = "/proc/self/exe";

// What `status`, `events`, `inventory` and `metrics` read.
constexpr auto kReadByTools = std::to_array<std::string_view>({
    "control",
    "counters",
    "ends",
    "generations",
    "hooks",
    "loader_maps",
    "managers",
    "minutes",
    "part",
    "programs",
    "summaries",
    "summed_rest",
    "tallies",
    "unjudged",
    "untallied",
});

// What they write: how far they have read. Whoever else does so is told of.
constexpr auto kWrittenByTools =
    std::to_array<std::string_view>({"denials", "events", "summaries_told"});

uint32_t access_to(std::string_view map) {
  if (map == kLoadSignatures) return BW_OWN_OPEN;
  if (is_written_by_tools(map)) return BW_OWN_SHARED;
  return std::ranges::find(kReadByTools, map) != kReadByTools.end() ? BW_OWN_READABLE
                                                                    : BW_OWN_CLOSED;
}

// A file or a folder as the kernel numbers it: what stat(2) says is another thing on btrfs.
struct Inode {
  uint64_t number = 0;
  uint32_t device = 0;
};

// `36 35 98:0 …`: the first number is the mount's, the third and fourth are the device's.
std::optional<uint32_t> device_of_mount(int mount) {
  std::ifstream file("/proc/self/mountinfo");
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    int number = 0, parent = 0;
    uint32_t major = 0, minor = 0;
    char colon = 0;
    if ((words >> number >> parent >> major >> colon >> minor) && number == mount)
      return major << 20 | minor;
  }
  return std::nullopt;
}

Result<Inode> inode_of(const std::string& path) {
  const Fd file(::open(path.c_str(), O_PATH | O_CLOEXEC));
  if (!file) return fail_errno(errno, "cannot open " + path);
  std::ifstream info("/proc/self/fdinfo/" + std::to_string(file.get()));
  Inode found;
  int mount = -1;
  for (std::string name; info >> name;) {
    if (name == "mnt_id:") info >> mount;
    if (name == "ino:") info >> found.number;
  }
  const auto device = device_of_mount(mount);
  if (!device || found.number == 0) return fail("/proc does not say which file " + path + " is");
  found.device = *device;
  return found;
}

Result<bw_manager> manager_in(const std::string& root) {
  std::error_code error;
  std::string path = kExecutable;
  if (!root.empty()) path = root + std::filesystem::read_symlink(kExecutable, error).string();
  const auto file = inode_of(path);
  if (!file) return std::unexpected(file.error());
  return bw_manager{.inode = file->number, .device = file->device, .reserved = 0};
}

// The map of the policies' images, which libbpf no longer describes once it is made: maps.bpf.h.
constexpr std::string_view kOfImages = "generations";
constexpr bw_own_shape kImageShape = {.type = BPF_MAP_TYPE_ARRAY,
                                      .key_size = sizeof(uint32_t),
                                      .value_size = sizeof(bw_image),
                                      .flags = 0,
                                      .max_entries = 1};

bw_own_shape shape_of(const bpf_map* map) {
  const bpf_map_type type = bpf_map__type(map);
  const bool counts = type == BPF_MAP_TYPE_ARRAY || type == BPF_MAP_TYPE_PERCPU_ARRAY;
  return {.type = static_cast<uint32_t>(type),
          .key_size = bpf_map__key_size(map),
          .value_size = bpf_map__value_size(map),
          .flags = bpf_map__map_flags(map),
          .max_entries = counts ? bpf_map__max_entries(map) : 0};
}

// Into the maps `own` and `own_shapes` of one skeleton.
class OwnMap {
 public:
  OwnMap(int map, int shapes) : map_(map), shapes_(shapes) {}

  [[nodiscard]] Status note(bw_own_kind kind, uint32_t id, const std::string& name,
                            uint32_t access = BW_OWN_CLOSED, uint32_t device = 0) const {
    const bw_own_key key = {.kind = kind, .id = id};
    bw_own object = {.name = {}, .access = access, .device = device};
    name.copy(object.name, sizeof(object.name) - 1);
    if (bpf_map_update_elem(map_, &key, &object, BPF_ANY) != 0)
      return fail_errno(errno, "cannot note which objects are bpfwarden's own");
    return {};
  }

  // What a program that finds it in a map of maps could write. Rings are left out: many programs
  // keep theirs in such a map.
  [[nodiscard]] Status note_shape(const bw_own_shape& shape, uint32_t id) const {
    if ((shape.flags & BPF_F_RDONLY_PROG) != 0 || shape.type == BPF_MAP_TYPE_RINGBUF) return {};
    if (bpf_map_update_elem(shapes_, &shape, &id, BPF_ANY) == 0) return {};
    return fail_errno(errno, "cannot note what bpfwarden's maps are like");
  }

  [[nodiscard]] Status note_map(const bpf_map* map) const {
    const std::string name = bpf_map__name(map);
    bpf_map_info info = {};
    uint32_t size = sizeof(info);
    if (bpf_map_get_info_by_fd(bpf_map__fd(map), &info, &size) != 0)
      return fail_errno(errno, "cannot look at the map " + name);
    if (auto noted = note_shape(shape_of(map), info.id); !noted) return noted;
    if (name == kOfImages)
      if (auto noted = note_shape(kImageShape, info.id); !noted) return noted;
    return note(BW_OWN_MAP, info.id, "map " + name, access_to(name));
  }

  [[nodiscard]] Status note_program(const bpf_prog_skeleton& program) const {
    const std::string name = program.name;
    const auto hook = attached_hook(program);
    if (!hook) return std::unexpected(hook.error());
    if (hook->program_id == 0) return {};  // it is not loaded
    if (auto noted = note(BW_OWN_PROGRAM, hook->program_id, "program " + name); !noted)
      return noted;
    return hook->link_id != 0 ? note(BW_OWN_LINK, hook->link_id, "link " + name) : note_floor();
  }

  // Of who has a guard.
  [[nodiscard]] Status note_floor() const {
    if (auto noted = note(BW_OWN_FLOOR, BW_OWN_GUARD, "the guard"); !noted) return noted;
    return note(BW_OWN_FLOOR, BW_OWN_FTRACE, "kernel.ftrace_enabled");
  }

  [[nodiscard]] Status note_types(int btf) const {
    bpf_btf_info info = {};
    uint32_t size = sizeof(info);
    if (bpf_btf_get_info_by_fd(btf, &info, &size) != 0)
      return fail_errno(errno, "cannot look at the types of the kernel part");
    return note(BW_OWN_BTF, info.id, "BTF");
  }

 private:
  int map_, shapes_;
};

const bpf_map* find_map(const bpf_object_skeleton& skeleton, std::string_view name) {
  for (int i = 0; i < skeleton.map_cnt; i++) {
    const bpf_map* map = *skeleton_entry(skeleton.maps, i, skeleton.map_skel_sz).map;
    if (name == bpf_map__name(map)) return map;
  }
  return nullptr;
}

}  // namespace

bool is_written_by_tools(std::string_view map) {
  return std::ranges::find(kWrittenByTools, map) != kWrittenByTools.end();
}

Status note_own_objects(const bpf_object_skeleton& skeleton, const std::string& pin_folder) {
  const bpf_map* map = find_map(skeleton, "own");
  const bpf_map* shapes = find_map(skeleton, "own_shapes");
  if (map == nullptr || shapes == nullptr) return fail("the kernel part has no map `own`");
  const OwnMap own(bpf_map__fd(map), bpf_map__fd(shapes));
  for (int i = 0; i < skeleton.map_cnt; i++)
    if (auto noted = own.note_map(*skeleton_entry(skeleton.maps, i, skeleton.map_skel_sz).map);
        !noted)
      return noted;
  for (int i = 0; i < skeleton.prog_cnt; i++)
    if (auto noted = own.note_program(skeleton_entry(skeleton.progs, i, skeleton.prog_skel_sz));
        !noted)
      return noted;
  if (auto noted = own.note_types(bpf_object__btf_fd(*skeleton.obj)); !noted) return noted;
  const auto folder = inode_of(pin_folder);
  if (!folder) return std::unexpected(folder.error());
  return own.note(BW_OWN_FOLDER, static_cast<uint32_t>(folder->number), "folder of the pins",
                  BW_OWN_CLOSED, folder->device);
}

Status note_own_map(uint32_t id, const std::string& name) {
  const std::string pin = std::string(kPinFolder) + "/map_own";
  const Fd own(bpf_obj_get(pin.c_str()));
  if (!own) return fail_errno(errno, "cannot open " + pin);
  // By a run that was ended, and may have frozen it.
  const bw_own_key key = {.kind = BW_OWN_MAP, .id = id};
  bw_own noted = {};
  if (bpf_map_lookup_elem(own.get(), &key, &noted) == 0) return {};
  return OwnMap(own.get(), -1).note(BW_OWN_MAP, id, name, BW_OWN_READABLE);
}

Status note_manager(int managers, const std::string& root) {
  const auto manager = manager_in(root);
  if (!manager) return std::unexpected(manager.error());
  const uint32_t yes = 1;
  if (bpf_map_update_elem(managers, &*manager, &yes, BPF_ANY) != 0)
    return fail_errno(errno, "cannot note that this executable is a manager");
  return {};
}

Status introduce_manager(const std::string& pin, const std::string& root) {
  const auto manager = manager_in(root);
  if (!manager) return std::unexpected(manager.error());
  uint32_t yes = 0;
  const Fd readable = open_pin_to_read(pin);
  if (!readable) return fail_errno(errno, "cannot open " + pin);
  if (bpf_map_lookup_elem(readable.get(), &*manager, &yes) == 0) return {};
  const Fd writable(bpf_obj_get(pin.c_str()));
  if (!writable) return fail_errno(errno, "cannot open " + pin);
  return note_manager(writable.get(), root);
}

}  // namespace bpfwarden::loader
