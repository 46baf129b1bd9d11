#include "loader/kernel/pins.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <string_view>
#include <thread>

#include "bpf-lsm/abi/program.h"
#include "bpf-lsm/abi/summary.h"
#include "loader/btf/kernel_abilities.h"
#include "loader/kernel/own_objects.h"
#include "loader/kernel/seal.h"
#include "loader/kernel/skeleton_entry.h"

namespace bpfwarden::loader {
namespace {

constexpr const char* kLockFile = "/run/bpfwarden.lock";
constexpr const char* kBpffs = "/sys/fs/bpf";
constexpr long kBpffsMagic = 0xcafe4a11;

struct Expected {
  const char* name;
  uint32_t type;
  uint32_t value_size;
};

// Of pins that are there, and not as they were made.
constexpr const char* kPinsHint =
    "the pins are not whole: find out who changed them; a reboot brings them back with the "
    "confirmed policy";

constexpr uint32_t kAnySize = UINT32_MAX;  // whose values are the kernel part's own

constexpr Expected kControl = {"control", BPF_MAP_TYPE_ARRAY, sizeof(bw_control)};
constexpr Expected kGenerations = {"generations", BPF_MAP_TYPE_ARRAY_OF_MAPS, sizeof(uint32_t)};
constexpr Expected kEvents = {"events", BPF_MAP_TYPE_RINGBUF, 0};
constexpr Expected kCounters = {"counters", BPF_MAP_TYPE_PERCPU_ARRAY, sizeof(bw_counters)};
constexpr Expected kMinutes = {"minutes", BPF_MAP_TYPE_PERCPU_ARRAY, sizeof(bw_minute)};
constexpr Expected kPrograms = {"programs", BPF_MAP_TYPE_HASH, sizeof(bw_program)};
constexpr Expected kTallies = {"tallies", BPF_MAP_TYPE_HASH, sizeof(uint64_t)};
constexpr Expected kDenials = {"denials", BPF_MAP_TYPE_RINGBUF, 0};
constexpr Expected kSummaries = {"summaries", BPF_MAP_TYPE_HASH, sizeof(bw_summary)};
constexpr Expected kSummariesTold = {"summaries_told", BPF_MAP_TYPE_HASH, sizeof(uint64_t)};
constexpr Expected kSummedRest = {"summed_rest", BPF_MAP_TYPE_ARRAY, sizeof(uint64_t)};
constexpr Expected kHooks = {"hooks", BPF_MAP_TYPE_ARRAY, sizeof(bw_attached_hook)};
constexpr Expected kLoaderMaps = {"loader_maps", BPF_MAP_TYPE_HASH, kAnySize};
constexpr Expected kEnds = {"ends", BPF_MAP_TYPE_HASH, kAnySize};
constexpr Expected kUnjudged = {"unjudged", BPF_MAP_TYPE_HASH, sizeof(bw_unjudged)};
constexpr Expected kUntallied = {"untallied", BPF_MAP_TYPE_ARRAY, sizeof(uint64_t)};

std::string pin_path(const std::string& folder, const char* kind, const char* name) {
  return folder + "/" + kind + name;
}

Result<Fd> open_map(const Expected& expected, bool may_write) {
  const std::string path = pin_path(kPinFolder, "map_", expected.name);
  Fd map = may_write ? Fd(bpf_obj_get(path.c_str())) : open_pin_to_read(path);
  if (!map) return unopened_pin(errno, path);
  bpf_map_info info = {};
  uint32_t size = sizeof(info);
  if (bpf_map_get_info_by_fd(map.get(), &info, &size) != 0)
    return fail_errno(errno, "cannot inspect " + path);
  if (info.type != expected.type ||
      (expected.value_size != kAnySize && info.value_size != expected.value_size))
    return fail(path + " is not the map that bpfwarden made", kPinsHint);
  return map;
}

// A sealed host refuses descriptors that write.
Result<bool> is_sealed_host() {
  const auto control = open_map(kControl, false);
  if (!control) return std::unexpected(control.error());
  constexpr uint32_t key = 0;
  bw_control word = {};
  if (bpf_map_lookup_elem(control->get(), &key, &word) != 0)
    return fail_errno(errno, "cannot read the control word");
  drop_unfinished_seal(control->get(), word);
  return is_sealed(word);
}

// Before any other map is opened: those of another version may be other maps.
Result<Part> open_part() {
  const std::string path = pin_path(kPinFolder, "map_", "part");
  const Fd map = open_pin_to_read(path);
  if (map) return read_part(map.get());
  const int error = errno;
  const std::string older = pin_path(kPinFolder, "map_", kControl.name);
  if (error == ENOENT && ::access(older.c_str(), F_OK) == 0) return Part{};
  return unopened_pin(error, path);
}

Status require_bpffs() {
  struct statfs where = {};
  if (::statfs(kBpffs, &where) != 0 || where.f_type != kBpffsMagic)
    return fail(std::string(kBpffs) + " is not a BPF file system",
                "run `mount -t bpf bpf /sys/fs/bpf`");
  return {};
}

// .rodata is held by the programs, and opened by nobody. By the pin of signatures loaders see that
// somebody verifies what lies there (library/load.cpp).
bool is_pinned(const bpf_map* map) {
  if (std::string_view(bpf_map__name(map)) == kLoadSignatures) return verifies_by_kernel_part();
  return !bpf_map__is_internal(map);
}

Status pin_in(const std::string& folder, const bpf_object_skeleton& skeleton) {
  for (int i = 0; i < skeleton.map_cnt; i++) {
    const bpf_map* map = *skeleton_entry(skeleton.maps, i, skeleton.map_skel_sz).map;
    if (!is_pinned(map)) continue;
    const std::string path = pin_path(folder, "map_", bpf_map__name(map));
    if (bpf_obj_pin(bpf_map__fd(map), path.c_str()) != 0)
      return fail_errno(errno, "cannot pin " + path);
  }
  for (int i = 0; i < skeleton.prog_cnt; i++) {
    const auto& program = skeleton_entry(skeleton.progs, i, skeleton.prog_skel_sz);
    if (*program.link == nullptr) continue;
    const std::string path = pin_path(folder, "link_", program.name);
    if (bpf_obj_pin(bpf_link__fd(*program.link), path.c_str()) != 0)
      return fail_errno(errno, "cannot pin " + path);
  }
  return {};
}

Status remove_folder(const char* folder) {
  std::error_code error;
  std::filesystem::remove_all(folder, error);
  if (error) return fail_errno(error.value(), std::string("cannot remove ") + folder);
  return {};
}

// A program's id is freed once its link has been released.
bool is_gone_within(uint32_t program_id, std::chrono::milliseconds limit) {
  constexpr auto step = std::chrono::milliseconds(10);
  for (auto waited = std::chrono::milliseconds(0); waited < limit; waited += step) {
    if (!Fd(bpf_prog_get_fd_by_id(program_id))) return true;
    std::this_thread::sleep_for(step);
  }
  return false;
}

Status await_gone(const std::vector<uint32_t>& programs) {
  for (const uint32_t id : programs)
    if (!is_gone_within(id, std::chrono::seconds(10)))
      return fail(
          "program " + std::to_string(id) + " is still in the kernel: another process holds it",
          "find it with `bpftool prog show id " + std::to_string(id) + "` and end it");
  return {};
}

constexpr const char* kLookOnHost =
    "look as root in the host's own mount namespace: nsenter --target 1 --mount bpfwarden status";

// One that went away in between is none.
Result<bool> is_hook_of_ours(uint32_t id) {
  const Fd program(bpf_prog_get_fd_by_id(id));
  if (!program && errno == ENOENT) return false;
  bpf_prog_info info = {};
  uint32_t size = sizeof(info);
  if (!program || bpf_prog_get_info_by_fd(program.get(), &info, &size) != 0)
    return fail_errno(errno, "nobody can say from here whether a policy is active",
                      "try again, as root");
  return info.type == BPF_PROG_TYPE_LSM && std::string_view(info.name).starts_with("warden_prog");
}

// Pins that are not seen do not say that there are none: another mount namespace has another
// /sys/fs/bpf, each mount of a BPF file system is one of its own, and not everybody may ask. Hooks
// whose pins have just been removed are still there for a moment.
Status require_nothing_loaded() {
  constexpr auto moment = std::chrono::seconds(1);
  uint32_t id = 0;
  while (bpf_prog_get_next_id(id, &id) == 0) {
    const auto is_ours = is_hook_of_ours(id);
    if (!is_ours) return std::unexpected(is_ours.error());
    if (*is_ours && !is_gone_within(id, moment))
      return fail("a policy is active, but its pins are not in this /sys/fs/bpf", kLookOnHost);
  }
  if (errno == ENOENT) return {};
  return fail_errno(errno, "nobody can say from here whether a policy is active", kLookOnHost);
}

}  // namespace

Fd open_pin_to_read(const std::string& path) {
  struct bpf_obj_get_opts options = {};
  options.sz = sizeof(options);
  options.file_flags = BPF_F_RDONLY;
  return Fd(bpf_obj_get_opts(path.c_str(), &options));
}

std::unexpected<Error> unopened_pin(int code, const std::string& path) {
  const bool is_broken = code == ENOENT;
  const bool is_forbidden = code == EACCES || code == EPERM;
  return fail_errno(code, "cannot open " + path,
                    is_broken      ? kPinsHint
                    : is_forbidden ? "run as root; the policy is active all the same"
                                   : "try again; the policy is active all the same");
}

Result<Lock> Lock::take() {
  Fd fd(::open(kLockFile, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd) return fail_errno(errno, std::string("cannot open ") + kLockFile, "run as root");
  if (::flock(fd.get(), LOCK_EX) != 0)
    return fail_errno(errno, std::string("cannot lock ") + kLockFile);
  (void)remove_folder(kPinsBeside);  // who makes one anew says what keeps it
  return Lock(std::move(fd));
}

Result<std::optional<PinnedMaps>> open_pins() {
  if (::access(kPinFolder, F_OK) != 0) {
    if (errno != ENOENT)
      return fail_errno(errno, std::string("cannot look into ") + kPinFolder, "run as root");
    if (Status none = require_nothing_loaded(); !none)
      return std::unexpected(std::move(none).error());
    return std::nullopt;
  }
  PinnedMaps pins;
  auto part = open_part();
  if (!part) return std::unexpected(std::move(part).error());
  if (Status readable = require_readable(*part); !readable)
    return std::unexpected(std::move(readable).error());
  pins.part = std::move(*part);
  const auto sealed = is_sealed_host();
  if (!sealed) return std::unexpected(sealed.error());
  // What is not noted is told of.
  if (!*sealed) (void)introduce_manager(pin_path(kPinFolder, "map_", "managers"));
  const std::pair<const Expected&, Fd&> wanted[] = {
      {kControl, pins.control},
      {kGenerations, pins.generations},
      {kEvents, pins.events},
      {kCounters, pins.counters},
      {kMinutes, pins.minutes},
      {kPrograms, pins.programs},
      {kTallies, pins.tallies},
      {kUntallied, pins.untallied},
      {kDenials, pins.denials},
      {kHooks, pins.hooks},
      {kSummaries, pins.summaries},
      {kSummariesTold, pins.summaries_told},
      {kSummedRest, pins.summed_rest},
      {kLoaderMaps, pins.loader_maps},
      {kEnds, pins.ends},
      {kUnjudged, pins.unjudged},
  };
  for (const auto& [expected, fd] : wanted) {
    auto map = open_map(expected, !*sealed || is_written_by_tools(expected.name));
    if (!map) return std::unexpected(std::move(map).error());
    fd = std::move(*map);
  }
  return pins;
}

Result<std::optional<Part>> read_active_part() {
  if (::access(kPinFolder, F_OK) != 0) {
    if (errno == ENOENT) return std::nullopt;
    return fail_errno(errno, std::string("cannot look into ") + kPinFolder, "run as root");
  }
  auto part = open_part();
  if (!part) return std::unexpected(std::move(part).error());
  return std::optional(std::move(*part));
}

Status pin_beside(const bpf_object_skeleton& skeleton) {
  if (auto mounted = require_bpffs(); !mounted) return mounted;
  if (auto clean = remove_folder(kPinsBeside); !clean) return clean;
  if (::mkdir(kPinsBeside, 0700) != 0)
    return fail_errno(errno, std::string("cannot make ") + kPinsBeside, "run as root");
  Status done = note_own_objects(skeleton, kPinsBeside);
  if (done) done = pin_in(kPinsBeside, skeleton);
  if (!done) (void)remove_folder(kPinsBeside);  // the first error is the one to report
  return done;
}

Status pin_all(const bpf_object_skeleton& skeleton) {
  Status done = pin_beside(skeleton);
  if (!done || ::rename(kPinsBeside, kPinFolder) == 0) return done;
  done = fail_errno(errno, std::string("cannot publish ") + kPinFolder);
  (void)remove_folder(kPinsBeside);
  return done;
}

Status exchange_pins() {
  if (::renameat2(AT_FDCWD, kPinsBeside, AT_FDCWD, kPinFolder, RENAME_EXCHANGE) == 0) return {};
  return fail_errno(errno, std::string("cannot exchange ") + kPinFolder);
}

Status remove_beside(const std::vector<uint32_t>& ids) {
  if (auto removed = remove_folder(kPinsBeside); !removed) return removed;
  return await_gone(ids);
}

std::vector<std::string> pinned_links() {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(kPinFolder, error)) {
    std::string name = entry.path().filename();
    if (name.starts_with("link_")) names.push_back(std::move(name));
  }
  std::ranges::sort(names);
  return names;
}

Fd open_pinned_link(const std::string& name) {
  return Fd(bpf_obj_get((std::string(kPinFolder) + "/" + name).c_str()));
}

Result<std::vector<Fd>> open_pinned_links() {
  std::vector<Fd> links;
  for (const std::string& name : pinned_links()) {
    links.push_back(open_pinned_link(name));
    if (!links.back()) return fail_errno(errno, "cannot open the pin " + name);
  }
  return links;
}

std::vector<uint32_t> pinned_programs() {
  std::vector<uint32_t> ids;
  for (const std::string& name : pinned_links()) {
    const Fd link = open_pinned_link(name);
    bpf_link_info info = {};
    uint32_t size = sizeof(info);
    if (link && bpf_link_get_info_by_fd(link.get(), &info, &size) == 0) ids.push_back(info.prog_id);
  }
  return ids;
}

Status remove_pins(const std::vector<uint32_t>& others) {
  std::vector<uint32_t> programs = pinned_programs();
  programs.insert(programs.end(), others.begin(), others.end());
  if (auto removed = remove_folder(kPinFolder); !removed) return removed;
  return await_gone(programs);
}

}  // namespace bpfwarden::loader
