#include "loader/rollout/initramfs.h"

#include <algorithm>
#include <array>

#include "base/file.h"
#include "loader/policies/policy_store.h"

namespace bpfwarden::loader {
namespace {

namespace fs = std::filesystem;

constexpr const char* kNotes = "var/lib/bpfwarden/initramfs";
constexpr const char* kUpdateInitramfs = "update-initramfs";
constexpr const char* kDracut = "dracut";

struct Tool {
  const char* name;
  const char* program;
  const char* hook;
};
constexpr std::array kTools = {
    Tool{kUpdateInitramfs, "usr/sbin/update-initramfs",
         "usr/share/initramfs-tools/hooks/bpfwarden"},
    Tool{kDracut, "usr/bin/dracut", "usr/lib/dracut/modules.d/90bpfwarden/module-setup.sh"}};

bool is_there(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error);
}

std::string text_of(const fs::path& path) {
  constexpr size_t most = 4096;
  const auto bytes = read_file(path, most);
  return bytes ? std::string(bytes->begin(), bytes->end()) : std::string();
}

std::optional<fs::path> image_path(const fs::path& root, const std::string& release) {
  for (const std::string& name : {"initrd.img-" + release, "initramfs-" + release + ".img"})
    if (is_there(root / "boot" / name)) return root / "boot" / name;
  return std::nullopt;
}

bool is_older(const fs::path& image, const fs::path& note) {
  std::error_code error;
  const auto made = fs::last_write_time(image, error);
  if (error) return false;
  const auto noted = fs::last_write_time(note, error);
  return !error && made < noted;
}

// Nothing where that kernel has neither an image that is found nor a note.
std::optional<InitramfsImage> read_image(const fs::path& root, const std::string& release) {
  const fs::path note = root / kNotes / release;
  const auto image = image_path(root, release);
  if (!image && !is_there(note)) return std::nullopt;
  return InitramfsImage{.noted = text_of(note), .is_finished = !image || !is_older(*image, note)};
}

std::string command_for(const std::string& tool, const std::vector<std::string>& kernels) {
  const bool is_one = kernels.size() == 1;
  if (tool == kDracut)
    return is_one ? "dracut --force --kver " + kernels.front() : "dracut --force --regenerate-all";
  return "update-initramfs -u -k " + (is_one ? kernels.front() : "all");
}

}  // namespace

InitramfsFacts read_initramfs_facts(const fs::path& root) {
  InitramfsFacts facts;
  facts.confirmed = text_of(root / fs::path(kPolicyStore).relative_path() / kBootFile);
  for (const Tool& tool : kTools)
    if (facts.tool.empty() && is_there(root / tool.program) && is_there(root / tool.hook))
      facts.tool = tool.name;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(root / "usr/lib/modules", error)) {
    const std::string release = entry.path().filename();
    if (auto image = read_image(root, release)) facts.images.emplace(release, std::move(*image));
  }
  return facts;
}

std::optional<StaleInitramfs> stale_initramfs(const InitramfsFacts& facts) {
  if (facts.tool.empty()) return std::nullopt;
  StaleInitramfs stale;
  for (const auto& [release, image] : facts.images)
    if (image.noted != facts.confirmed || !image.is_finished) stale.kernels.push_back(release);
  if (stale.kernels.empty()) return std::nullopt;
  stale.has_policy_still = facts.confirmed.empty();
  stale.command = command_for(facts.tool, stale.kernels);
  return stale;
}

std::string stale_initramfs_text(const StaleInitramfs& stale) {
  std::string text =
      stale.has_policy_still ? "still has a policy: " : "older than the confirmed policy: ";
  for (size_t i = 0; i < stale.kernels.size(); i++) text += (i == 0 ? "" : ", ") + stale.kernels[i];
  return text;
}

}  // namespace bpfwarden::loader
