// Targets and places of a policy that are not there: functions, LSM hooks, tracepoints, struct_ops
// and devices, each with the nearest name that is.
#pragma once

#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "loader/kernel/kernel_names.h"
#include "policy/language/model.h"
#include "policy/text/diagnostic.h"

namespace bpfwarden::loader {

inline constexpr std::string_view kNoSuchTarget = "no-such-target";

// What is at hand. What nothing is known of draws no warning.
struct TargetNames {
  KernelNames kernel;
  std::set<std::string, std::less<>> symbols;  // of /proc/kallsyms; more than the BTF has
  std::set<std::string, std::less<>> events;   // "sched/sched_switch", of tracefs
  std::optional<std::set<std::string, std::less<>>> devices;  // of this network namespace
  bool is_host = true;
};

// Errors: the BTF cannot be read.
[[nodiscard]] Result<TargetNames> targets_of_host();
[[nodiscard]] Result<TargetNames> targets_of_btf(const std::filesystem::path& file);

// A warning for each pattern whose target or device is not there. Those that the policy accepts are
// left out.
[[nodiscard]] std::vector<policy::Diagnostic> missing_targets(const policy::Policy& policy,
                                                              const TargetNames& names);

}  // namespace bpfwarden::loader
