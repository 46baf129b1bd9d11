// The kernel's functions by their addresses (/proc/kallsyms): one address may have several names,
// and one name several addresses, as static functions have. The kernel prints one of the names, and
// takes any. Owns its texts; unchanging once read.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "loader/policies/policy_file.h"

namespace bpfwarden::loader {

inline constexpr const char* kKernelSymbols = "/proc/kallsyms";

// The code of the warnings below.
inline constexpr std::string_view kAmbiguousFunction = "ambiguous-function";

// A line of /proc/kallsyms, as views into it. `module` is empty for the kernel's own, and "bpf" for
// programs.
struct SymbolLine {
  uint64_t address = 0;  // 0: hidden
  char type = 0;         // as nm(1) has it: 'T', 'd'
  std::string_view name, module;
};

// Nothing for what is no such line.
[[nodiscard]] std::optional<SymbolLine> parse_symbol(std::string_view line);

// Whose functions: all, the kernel's own (empty), or those of a module.
struct SymbolScope {
  bool is_all = true;
  std::string module;
};

class KernelSymbols {
 public:
  // Errors: the file cannot be read, or hides its addresses (kernel.kptr_restrict).
  [[nodiscard]] static Result<KernelSymbols> read(const std::filesystem::path& file);

  // All names of the addresses that the name stands for, itself included; empty: there is none.
  [[nodiscard]] std::set<std::string> names_of(std::string_view name,
                                               const SymbolScope& scope) const;
  // How many functions have that name.
  [[nodiscard]] size_t count(std::string_view name, const SymbolScope& scope) const;
  // Those that begin so, each once.
  [[nodiscard]] std::vector<std::string> beginning_with(std::string_view prefix,
                                                        const SymbolScope& scope) const;

 private:
  struct Symbol {
    uint64_t address;
    std::string_view name, module;  // in text_
  };

  void add(std::string_view line);
  [[nodiscard]] std::set<uint64_t> addresses_of(std::string_view name,
                                                const SymbolScope& scope) const;

  std::unique_ptr<const std::string> text_;
  std::vector<Symbol> by_address_, by_name_;
};

// Whether any rule names functions of the kernel, but for all of them.
[[nodiscard]] bool names_functions(const policy::Policy& policy);

// Adds to each rule the other names of its functions, and compiles the policy again, in the mode of
// its image. A rule that refuses gets every name of every function that has a name of its; one that
// allows gets those that stand for nothing else. Returns a warning for each name in an allow rule
// that several functions have. Errors: as of compile(). On one, `compiled` is as it was.
[[nodiscard]] Result<std::vector<policy::Diagnostic>> find_functions(CompiledPolicy& compiled,
                                                                     const KernelSymbols& symbols);

}  // namespace bpfwarden::loader
