// What is to be changed for the next boot, where the kernel comes up without BPF among its security
// modules: in the files of GRUB, of systemd-boot (kernel-install) and of BLS entries.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace bpfwarden::loader {

struct BootChange {
  std::string loader;  // "GRUB"
  std::string file;
  std::string before, after;  // whole texts; `before` is empty where there is no file yet
  std::string then;           // a command that makes it count
};

// "lockdown,yama,bpf" -> the option that adds bpf; empty where it is there already.
[[nodiscard]] std::string lsm_option(const std::string& active);

// For each loader whose files are under `root` ("/"); none: an unknown one.
[[nodiscard]] std::vector<BootChange> boot_changes(const std::string& root,
                                                   const std::string& option);

// A copy of what was there, FILE.before-bpfwarden, comes first. Errors: errno of writing; nothing
// of that file was changed then.
[[nodiscard]] Status write_boot_change(const BootChange& change);

}  // namespace bpfwarden::loader
