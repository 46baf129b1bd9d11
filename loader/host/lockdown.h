// What the kernel has been locked down to (kernel lockdown(7)).
#pragma once

#include <string>

namespace bpfwarden::loader {

// "[none] integrity confidentiality", with the mode in brackets; empty where nobody can say.
[[nodiscard]] std::string lockdown_modes();

// Under `confidentiality` no BPF program may read kernel memory, which the kernel part does
// (security_locked_down(LOCKDOWN_BPF_READ_KERNEL)).
[[nodiscard]] bool forbids_kernel_reads(const std::string& modes);

inline constexpr const char* kLockdownRefusal =
    "confidentiality: no BPF program may read kernel memory";
inline constexpr const char* kLockdownHint =
    "boot with lockdown=integrity, the strictest under which BPF LSM can decide";

}  // namespace bpfwarden::loader
