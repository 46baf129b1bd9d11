// Uprobes as the kernel sees them: a file, by its real path or, in a link of many, by the one that
// its loader wrote; and an offset in it. A policy names symbols; what those are on this host is
// looked up where a policy becomes active here, as libbpf does where it attaches. `check`,
// `explain` and `test` say the same on every host.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "loader/policies/policy_file.h"

namespace bpfwarden::loader {

// The code of the warnings below.
inline constexpr std::string_view kUprobeNotFound = "uprobe-not-found";

// The offsets in the file of the functions of that name, each once, ascending; empty: it has none.
// Both symbol tables are read; a version (`malloc@GLIBC_2.2.5`) may be left out. Errors: the file
// cannot be read or is no ELF executable or library.
[[nodiscard]] Result<std::vector<uint64_t>> function_offsets(const std::filesystem::path& file,
                                                             std::string_view symbol);

// Adds to each rule what its uprobes and USDT probes are on this host, and compiles the policy
// again, in the mode of its image. Returns a warning for each symbol that there is not: the rule
// does not match there. Errors: as of compile(). On one, `compiled` is as it was.
[[nodiscard]] Result<std::vector<policy::Diagnostic>> find_uprobes(CompiledPolicy& compiled);

}  // namespace bpfwarden::loader
