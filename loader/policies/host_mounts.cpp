#include "loader/policies/host_mounts.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>

#include "loader/policies/publish.h"

namespace bpfwarden::loader {
namespace {

using std::string;
using std::string_view;

struct Mount {
  uint32_t device = 0;
  string root, point;  // the empty path is `/`
};

// Spaces and the like are written as \040.
string unescaped(string_view text) {
  string plain;
  for (size_t i = 0; i < text.size(); i++) {
    if (text[i] != '\\' || i + 3 >= text.size()) {
      plain += text[i];
      continue;
    }
    unsigned byte = 0;
    std::from_chars(text.data() + i + 1, text.data() + i + 4, byte, 8);
    plain += static_cast<char>(byte);
    i += 3;
  }
  return plain == "/" ? "" : plain;
}

// super_block.s_dev: a major number, and a minor one of 20 bits.
std::optional<uint32_t> device_in(string_view text) {
  const char *begin = text.data(), *end = begin + text.size();
  uint32_t major = 0, minor = 0;
  const auto first = std::from_chars(begin, end, major);
  if (first.ec != std::errc() || first.ptr == end || *first.ptr != ':') return std::nullopt;
  if (std::from_chars(first.ptr + 1, end, minor).ec != std::errc()) return std::nullopt;
  return major << 20 | minor;
}

// `36 35 98:0 /mnt1 /mnt2 rw,noatime …`
std::optional<Mount> mount_in(const string& line) {
  std::istringstream words(line);
  string number, parent, device, root, point;
  if (!(words >> number >> parent >> device >> root >> point)) return std::nullopt;
  const auto found = device_in(device);
  if (!found) return std::nullopt;
  return Mount{*found, unescaped(root), unescaped(point)};
}

bool is_at_or_below(string_view path, string_view folder) {
  return path.starts_with(folder) && (path.size() == folder.size() || path[folder.size()] == '/');
}

// A later mount at the same folder or above hides an earlier one.
void add(std::vector<Mount>& mounts, Mount next) {
  std::erase_if(mounts, [&](const Mount& one) { return is_at_or_below(one.point, next.point); });
  mounts.push_back(std::move(next));
}

// What goes along into the next root. All else ends with the old one, such as the read-only /usr
// that systemd mounts over an initramfs's own.
bool is_taken_along(const Mount& mount) {
  static constexpr string_view kMoved[] = {"/dev", "/proc", "/run", "/sys"};
  return std::ranges::any_of(kMoved,
                             [&](string_view one) { return is_at_or_below(mount.point, one); });
}

// Nothing changes where nothing is mounted there.
void make_root(std::vector<Mount>& mounts, string_view next_root) {
  const auto is_next = [&](const Mount& one) { return one.point == next_root; };
  if (next_root.empty() || std::ranges::none_of(mounts, is_next)) return;
  std::erase_if(mounts, [&](const Mount& one) {
    return !is_at_or_below(one.point, next_root) && !is_taken_along(one);
  });
  for (Mount& one : mounts)
    if (is_at_or_below(one.point, next_root)) one.point.erase(0, next_root.size());
}

bool set_path(__u64 (&words)[BW_NAME_WORDS], __u16& length, const string& path) {
  if (path.size() >= BW_NAME_SIZE) return false;
  std::memcpy(words, path.data(), path.size());
  length = static_cast<__u16>(path.size());
  return true;
}

}  // namespace

std::vector<bw_mount> visible_mounts(string_view mountinfo, string_view next_root) {
  std::vector<Mount> mounts;
  std::istringstream lines{string(mountinfo)};
  for (string line; std::getline(lines, line);)
    if (auto mount = mount_in(line)) add(mounts, std::move(*mount));
  make_root(mounts, next_root);
  std::ranges::stable_sort(mounts, {}, [](const Mount& one) { return one.point.size(); });
  std::vector<bw_mount> found;
  for (const Mount& mount : mounts) {
    bw_mount one = {};
    one.device = mount.device;
    if (found.size() < BW_MAX_MOUNTS && set_path(one.root, one.root_length, mount.root) &&
        set_path(one.point, one.point_length, mount.point))
      found.push_back(one);
  }
  return found;
}

Status note_mounts(bw_image& image, string_view next_root) {
  const uint64_t now = boot_time_ns();
  std::ifstream file("/proc/1/mountinfo");
  if (!file) return fail_errno(errno, "cannot read /proc/1/mountinfo", "run as root");
  std::ostringstream text;
  text << file.rdbuf();
  const auto mounts = visible_mounts(text.str(), next_root);
  std::ranges::fill(image.mounts, bw_mount{});
  std::ranges::copy(mounts, image.mounts);
  image.mount_count = static_cast<uint32_t>(mounts.size());
  image.mounts_read_ns = now;
  return {};
}

bool have_same_mounts(const bw_image& left, const bw_image& right) {
  return left.mount_count == right.mount_count &&
         std::memcmp(left.mounts, right.mounts, sizeof(left.mounts)) == 0;
}

}  // namespace bpfwarden::loader
