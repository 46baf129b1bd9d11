// Whether each kernel's initramfs has the policy that a boot comes up with. The hooks that fill one
// note what they put into it (packaging/initramfs/copies); a note proves nothing where the image is
// older than it.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace bpfwarden::loader {

struct InitramfsImage {
  std::string noted;        // the file `boot` of the policy store that it was given; empty: none
  bool is_finished = true;  // no older than its note
};

struct InitramfsFacts {
  std::string confirmed;  // the file `boot` of the policy store; empty: no policy
  std::string tool;       // "update-initramfs", "dracut"; empty: none that has our hook
  std::map<std::string, InitramfsImage> images;  // of installed kernels, by release
};

struct StaleInitramfs {
  std::vector<std::string> kernels;  // at least one
  bool has_policy_still = false;     // none is confirmed any more; else older than what is
  std::string command;               // what makes them anew
};

// Of the host below `root`. What cannot be read is not there.
[[nodiscard]] InitramfsFacts read_initramfs_facts(const std::filesystem::path& root = "/");

// Nothing where all have what they should, and where nobody knows how one is made.
[[nodiscard]] std::optional<StaleInitramfs> stale_initramfs(const InitramfsFacts& facts);

// "older than the confirmed policy: 7.3.4, 7.2.12"
[[nodiscard]] std::string stale_initramfs_text(const StaleInitramfs& stale);

}  // namespace bpfwarden::loader
