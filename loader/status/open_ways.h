// What could still change what a sealed host decides by, from below BPF (docs/threat-model.md).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bpf-lsm/abi/image.h"

namespace bpfwarden::loader {

// What the kernel itself has closed, by settings that nobody takes back until the next boot; and
// what is open that no policy can close any more.
struct KernelClosings {
  bool modules = false;           // kernel.modules_disabled
  bool unsigned_modules = false;  // module.sig_enforce
  bool kexec = false;             // kernel.kexec_load_disabled
  bool has_kexec_loaded = false;  // a kernel is loaded already, and only has to be started
  bool integrity = false;         // lockdown=integrity, or stricter
  bool knows_reasons = true;      // it has all that the policy's [harden] names
};

[[nodiscard]] KernelClosings read_closings(const bw_image& image);

// By the policy's [harden], as far as it is enforced at `now` (Unix seconds) and no hook for it is
// among those that are gone, and by the kernel. "modules", or "signed modules" where those
// without a signature are closed; "kexec" likewise; "/dev/mem", "lockdown": any of its other
// reasons; last "reboot", which is always open.
[[nodiscard]] std::vector<std::string> open_ways(const bw_image& image,
                                                 const KernelClosings& kernel,
                                                 const std::vector<std::string>& missing_hooks,
                                                 int64_t now);

// Who may sign the policy that replaces this one: names of keys, each once.
[[nodiscard]] std::vector<std::string> policy_signer_names(const bw_image& image);

}  // namespace bpfwarden::loader
