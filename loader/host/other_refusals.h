// Who else answers EPERM to a BPF program: lockdown, missing capabilities, seccomp, other LSMs. For
// `why`, when it was not bpfwarden.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace bpfwarden::loader {

// What can be known of a host; plain data.
struct HostLimits {
  std::string lockdown;                 // as lockdown_modes()
  std::optional<int> unprivileged_bpf;  // kernel.unprivileged_bpf_disabled
  std::string lsms;                     // "lockdown,capability,apparmor,bpf"
  std::vector<std::string> programs;    // BPF LSM programs of others: "id 41 'restrict_fs'"
  std::string keyrings;                 // why the kernel refuses those of users; empty: it does not
};

// Of a process that lives.
struct ProcessLimits {
  pid_t pid = 0;
  std::string name;
  uint64_t capabilities = 0;           // effective
  int seccomp = 0;                     // 2: filters
  std::string label;                   // of SELinux or AppArmor; empty: none
  bool in_own_user_namespace = false;  // whose capabilities count for nothing here
};

// `own`: the ids of programs that are bpfwarden's.
[[nodiscard]] HostLimits read_host_limits(std::span<const uint32_t> own);
// Errors: there is no such process, or it cannot be looked at.
[[nodiscard]] Result<ProcessLimits> read_process_limits(pid_t pid);

// Each one sentence: what can have refused, the likeliest first, then what was looked at and is no
// reason. `process`: null where none is known.
struct OtherRefusals {
  std::vector<std::string> possible, excluded;
};
[[nodiscard]] OtherRefusals other_refusals(const HostLimits& host, const ProcessLimits* process);

}  // namespace bpfwarden::loader
