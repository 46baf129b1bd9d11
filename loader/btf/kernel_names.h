// What a kernel has, by the names that policies use: functions, LSM hooks, tracepoints, struct_ops.
// Read from its BTF and that of its modules (/sys/kernel/btf), or from a file. Owns its names.
#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "base/result.h"

struct btf;

namespace bpfwarden::loader {

// Of the kernel itself, or of one module.
struct OwnedNames {
  std::set<std::string, std::less<>> functions;    // those that the BTF has
  std::set<std::string, std::less<>> hooks;        // of LSMs, without bpf_lsm_
  std::set<std::string, std::less<>> tracepoints;  // without btf_trace_
  std::set<std::string, std::less<>> iterators;    // without bpf_iter_
  std::set<std::string, std::less<>> struct_ops;   // without bpf_struct_ops_
  std::set<std::string, std::less<>> variables;    // those that the BTF has a type of
};

class KernelNames {
 public:
  // Errors: no BTF there, or none that can be read. Modules whose BTF cannot be read are left out.
  [[nodiscard]] static Result<KernelNames> of_host();
  [[nodiscard]] static Result<KernelNames> of_file(const std::filesystem::path& file);

  // Null for a module that is not loaded, or has no BTF; empty: the kernel's own.
  [[nodiscard]] const OwnedNames* owned_by(std::string_view module) const;
  [[nodiscard]] const std::map<std::string, OwnedNames, std::less<>>& all() const { return all_; }

 private:
  void add(const btf* types, std::string_view module);

  std::map<std::string, OwnedNames, std::less<>> all_;  // "" is the kernel
};

}  // namespace bpfwarden::loader
