// Targets and places of a policy that are not there: functions, LSM hooks, tracepoints, struct_ops
// and devices, each with the nearest name that is.
#pragma once

#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "loader/btf/kernel_names.h"
#include "policy/language/model.h"
#include "policy/text/diagnostic.h"

namespace bpfwarden::loader {

inline constexpr std::string_view kNoSuchTarget = "no-such-target";

// What is at hand, of the host or in a file. The host's is read when it is first asked for, since
// reading all of it takes longer than the rest of `apply`. What nothing is known of draws no
// warning. Owns its names; of one thread.
class TargetNames {
 public:
  using Names = std::set<std::string, std::less<>>;

  [[nodiscard]] static TargetNames of_host() { return TargetNames(std::nullopt); }
  // Errors: the BTF cannot be read.
  [[nodiscard]] static Result<TargetNames> of_file(const std::filesystem::path& file);

  [[nodiscard]] bool is_host() const { return is_host_; }
  [[nodiscard]] const KernelNames& kernel() const;  // without any where the host's has no BTF
  [[nodiscard]] const Names& symbols() const;       // of /proc/kallsyms; more than the BTF has
  [[nodiscard]] const Names& events() const;        // "sched/sched_switch", of tracefs
  [[nodiscard]] const std::optional<Names>& devices() const;  // of this network namespace

 private:
  explicit TargetNames(std::optional<KernelNames> kernel)
      : is_host_(!kernel.has_value()), kernel_(std::move(kernel)) {}

  bool is_host_;
  mutable std::optional<KernelNames> kernel_;
  mutable std::optional<Names> symbols_, events_;
  mutable std::optional<std::optional<Names>> devices_;
};

// A warning for each pattern whose target or device is not there. Those that the policy accepts are
// left out.
[[nodiscard]] std::vector<policy::Diagnostic> missing_targets(const policy::Policy& policy,
                                                              const TargetNames& names);

}  // namespace bpfwarden::loader
