// What a boot does, from the initramfs and from bpfwarden.service: the policy that was last
// confirmed comes back, unless the kernel's command line says otherwise (`bpfwarden=`).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "loader/rollout/apply.h"

namespace bpfwarden::loader {

enum class BootWord : uint8_t {
  none,     // as it was confirmed
  off,      // no policy
  audit,    // the policy, all of it on trial; the next boot is as confirmed again
  unknown,  // something else, which changes nothing
};

// What `bpfwarden=` says on a kernel's command line: the last one counts, as with the kernel's own
// parameters.
[[nodiscard]] BootWord boot_word(std::string_view command_line);

// Of this boot. Errors: of /proc/cmdline, which is not guessed.
[[nodiscard]] Result<BootWord> word_of_this_boot();

struct Boot {
  BootWord word = BootWord::none;
  bool is_saved = false;                // there is a confirmed policy
  std::optional<CheckedPolicy> policy;  // what is active now
  Applied applied;                      // of it
  std::string forgotten;  // "policy 'edge' version 12": active, though none is saved; else empty
  std::string warning;    // what could not be found out, and what this kernel cannot hold; or empty
};

// `next_root`: in an initramfs, where the real root is mounted; else empty.
// Nothing is applied where nothing is saved, and under `bpfwarden=off`; neither is an error.
// Errors: of apply(), and of /proc/cmdline, which is not guessed.
[[nodiscard]] Result<Boot> apply_at_boot(const std::string& next_root);

}  // namespace bpfwarden::loader
