#include "loader/rollout/boot_options.h"

#include <algorithm>
#include <filesystem>
#include <sstream>

#include "base/file.h"

namespace bpfwarden::loader {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxFile = 1 << 20;
constexpr const char* kCopy = ".before-bpfwarden";

std::string text_in(const fs::path& file) {
  const auto bytes = read_file(file, kMaxFile);
  return bytes ? std::string(bytes->begin(), bytes->end()) : std::string();
}

// The words of a command line with `option` in the place of another `lsm=`.
std::string with_option(const std::string& line, const std::string& option) {
  std::istringstream words(line);
  std::string text;
  for (std::string word; words >> word;)
    if (!word.starts_with("lsm=")) text += word + " ";
  return text + option;
}

// GRUB reads every file of this folder after /etc/default/grub: nothing else has to be touched.
std::vector<BootChange> for_grub(const fs::path& root, const std::string& option) {
  if (!fs::exists(root / "etc/default/grub")) return {};
  const fs::path file = root / "etc/default/grub.d/50-bpfwarden.cfg";
  return {{.loader = "GRUB",
           .file = file,
           .before = text_in(file),
           .after = "# Written by `bpfwarden doctor --fix`: BPF among the security modules.\n"
                    "GRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX " +
                    option + "\"\n",
           .then = "update-grub"}};
}

std::vector<BootChange> for_kernel_install(const fs::path& root, const std::string& option) {
  const fs::path file = root / "etc/kernel/cmdline";
  const std::string before = text_in(file);
  if (before.empty()) return {};
  return {{.loader = "systemd-boot",
           .file = file,
           .before = before,
           .after = with_option(before, option) + "\n",
           .then = "kernel-install add-all"}};
}

BootChange for_entry(const fs::path& file, const std::string& option) {
  BootChange change = {
      .loader = "BLS entry", .file = file, .before = text_in(file), .after = {}, .then = "reboot"};
  bool has_options = false;
  std::istringstream lines(change.before);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("options ") || line.starts_with("options\t")) {
      constexpr size_t word = 8;
      line = "options " + with_option(line.substr(word), has_options ? "" : option);
      has_options = true;
    }
    change.after += line + "\n";
  }
  if (!has_options) change.after += "options " + option + "\n";
  return change;
}

std::vector<BootChange> for_entries(const fs::path& root, const std::string& option) {
  std::vector<BootChange> changes;
  for (const char* folder :
       {"boot/loader/entries", "efi/loader/entries", "boot/efi/loader/entries"}) {
    std::error_code error;
    std::vector<fs::path> files;
    for (fs::directory_iterator entry(root / folder, error), end; !error && entry != end;
         entry.increment(error))
      if (entry->path().extension() == ".conf") files.push_back(entry->path());
    std::ranges::sort(files);
    for (const fs::path& file : files) changes.push_back(for_entry(file, option));
  }
  return changes;
}

}  // namespace

std::string lsm_option(const std::string& active) {
  if (active.empty() || ("," + active + ",").find(",bpf,") != std::string::npos) return {};
  return "lsm=" + active + ",bpf";
}

std::vector<BootChange> boot_changes(const std::string& root, const std::string& option) {
  std::vector<BootChange> all;
  for (const auto& found :
       {for_grub(root, option), for_kernel_install(root, option), for_entries(root, option)})
    for (const BootChange& change : found)
      if (change.before != change.after) all.push_back(change);
  return all;
}

Status write_boot_change(const BootChange& change) {
  std::error_code error;
  fs::create_directories(fs::path(change.file).parent_path(), error);
  if (error) return fail_errno(error.value(), "cannot make a folder for " + change.file);
  if (!change.before.empty())
    if (Status kept = write_output(change.file + kCopy, change.before); !kept) return kept;
  return write_output(change.file, change.after);
}

}  // namespace bpfwarden::loader
