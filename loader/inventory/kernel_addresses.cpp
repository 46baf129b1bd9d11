#include "loader/inventory/kernel_addresses.h"

#include <bpf/bpf.h>

#include <algorithm>
#include <cerrno>
#include <fstream>

#include "base/certificate.h"
#include "base/fd.h"
#include "loader/btf/kernel_names.h"
#include "loader/policies/kernel_symbols.h"

namespace bpfwarden::loader {
namespace {

constexpr uint64_t kKernelHalf = uint64_t{1} << 63U;

bool is_wide_immediate(const bpf_insn& insn) { return insn.code == (BPF_LD | BPF_IMM | BPF_DW); }

uint64_t wide_immediate(const bpf_insn& low, const bpf_insn& high) {
  return static_cast<uint64_t>(static_cast<uint32_t>(high.imm)) << 32U |
         static_cast<uint32_t>(low.imm);
}

// `r0 = &jiffies; r0 = *(u64 *)r0`, as the verifier writes bpf_jiffies64().
bool reads_clock(std::span<const bpf_insn> rest) {
  constexpr size_t whole = 3;
  if (rest.size() < whole) return false;
  const bpf_insn &address = rest[0], &read = rest[2];
  return address.dst_reg == BPF_REG_0 && read.code == (BPF_LDX | BPF_MEM | BPF_DW) &&
         read.dst_reg == BPF_REG_0 && read.src_reg == BPF_REG_0 && read.off == 0;
}

// Empty: the kernel does not show them.
std::vector<bpf_insn> read_instructions(uint32_t id) {
  const Fd program(bpf_prog_get_fd_by_id(id));
  bpf_prog_info info = {};
  uint32_t size = sizeof(info);
  if (!program || bpf_prog_get_info_by_fd(program.get(), &info, &size) != 0) return {};
  std::vector<bpf_insn> insns(info.xlated_prog_len / sizeof(bpf_insn));
  const uint32_t length = info.xlated_prog_len;
  info = {};
  info.xlated_prog_len = length;
  info.xlated_prog_insns = reinterpret_cast<uint64_t>(insns.data());
  size = sizeof(info);
  if (bpf_prog_get_info_by_fd(program.get(), &info, &size) != 0 || info.xlated_prog_insns == 0)
    return {};
  insns.resize(std::min<size_t>(insns.size(), info.xlated_prog_len / sizeof(bpf_insn)));
  return insns;
}

// Of the kernel or of any module.
bool has_type(const Result<KernelNames>& names, const std::string& symbol) {
  return names && std::ranges::any_of(names->all(), [&](const auto& owned) {
           return owned.second.variables.contains(symbol);
         });
}

}  // namespace

std::set<uint64_t> possible_addresses(std::span<const bpf_insn> insns) {
  std::set<uint64_t> found;
  for (size_t i = 0; i + 1 < insns.size(); i++) {
    if (!is_wide_immediate(insns[i])) continue;
    const uint64_t value = wide_immediate(insns[i], insns[i + 1]);
    if (insns[i].src_reg == 0 && value >= kKernelHalf && !reads_clock(insns.subspan(i)))
      found.insert(value);
    i++;  // its second half
  }
  return found;
}

Result<std::map<uint64_t, std::string>> symbols_at(const std::set<uint64_t>& addresses,
                                                   const std::filesystem::path& kallsyms) {
  std::map<uint64_t, std::string> found;
  if (addresses.empty()) return found;
  std::ifstream opened(kallsyms);
  if (!opened) return fail_errno(errno, "cannot read the kernel's symbols in " + kallsyms.string());
  for (std::string line; std::getline(opened, line);) {
    const auto symbol = parse_symbol(line);
    if (symbol && symbol->module != "bpf" && addresses.contains(symbol->address))
      found.emplace(symbol->address, symbol->name);
  }
  return found;
}

std::map<std::string, std::vector<std::string>> kernel_addresses_in(
    const std::vector<ListedProgram>& programs) {
  std::map<std::string, std::set<uint64_t>> addresses_of;  // by digest
  std::set<uint64_t> all;
  for (const ListedProgram& program : programs) {
    const bool has_digest = (program.listed.flags & BW_LISTED_DIGEST) != 0;
    if (!has_digest || program.standing == Standing::own) continue;
    const auto possible = possible_addresses(read_instructions(program.listed.id));
    all.insert(possible.begin(), possible.end());
    if (!possible.empty()) addresses_of[hex(program.listed.digest)] = possible;
  }
  const auto symbols = symbols_at(all, kKernelSymbols);
  std::map<std::string, std::vector<std::string>> found;
  if (!symbols || symbols->empty()) return found;
  const auto names = KernelNames::of_host();
  for (const auto& [digest, addresses] : addresses_of)
    for (const uint64_t address : addresses) {
      const auto symbol = symbols->find(address);
      if (symbol != symbols->end() && !has_type(names, symbol->second))
        found[digest].push_back(symbol->second);
    }
  return found;
}

}  // namespace bpfwarden::loader
