// Addresses of kernel symbols among the instructions of programs, as loaders put them in: libbpf
// does for `extern const void bpf_prog_fops __ksym`, a symbol without a type. The kernel's
// addresses differ from boot to boot, and the digest of such a program with them.
#pragma once

#include <linux/bpf.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "loader/inventory/inventory.h"

namespace bpfwarden::loader {

// What may be one, of instructions as the kernel shows them once they are verified
// (bpf_prog_info.xlated_prog_insns): 64-bit immediates in the kernel's half of the address space
// that stand for no map and no function of the program. What the verifier itself puts in to read
// the clock (&jiffies for bpf_jiffies64()) is left out.
[[nodiscard]] std::set<uint64_t> possible_addresses(std::span<const bpf_insn> insns);

// The symbols of /proc/kallsyms that begin exactly there; those of BPF programs do not count.
// Errors: the file cannot be read.
[[nodiscard]] Result<std::map<uint64_t, std::string>> symbols_at(
    const std::set<uint64_t>& addresses, const std::filesystem::path& kallsyms);

// By the digest of a program (hexadecimal), the symbols whose addresses are in it. `programs` are
// looked at, but for our own. A symbol with a type (a variable of the kernel's BTF) is left out:
// its loader may have named it by its number in BTF, as libbpf does, which stays; the verified
// instructions do not tell. Empty where the kernel hides instructions or addresses.
[[nodiscard]] std::map<std::string, std::vector<std::string>> kernel_addresses_in(
    const std::vector<ListedProgram>& programs);

}  // namespace bpfwarden::loader
