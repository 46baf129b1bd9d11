#include "loader/btf/harden_tables.h"

#include <algorithm>
#include <map>
#include <string>

#include "loader/btf/kernel_has.h"
#include "policy/language/read_harden.h"

namespace bpfwarden::loader {
namespace {

using std::string;

using Numbers = std::map<string, uint32_t>;

template <size_t size>
void put(std::array<uint8_t, size>& table, const Numbers& numbers, const string& name,
         bw_hardening hardening) {
  if (const auto one = numbers.find(name); one != numbers.end() && one->second < size)
    table.at(one->second) = static_cast<uint8_t>(hardening);
}

// Those that have no number here are integrity's alone.
void put_reasons(HardenTables& tables) {
  const Numbers reasons = kernel_enum("lockdown_reason");
  const auto end = reasons.find("LOCKDOWN_INTEGRITY_MAX");
  for (const auto& [name, number] : reasons) {
    if (name == "LOCKDOWN_NONE" || end == reasons.end() || number >= end->second ||
        number >= tables.reasons.size())
      continue;
    tables.reasons.at(number) = BW_HARDENING_INTEGRITY;
    tables.integrity.at(number) = 1;
  }
  for (const policy::LockdownReason& reason : policy::lockdown_reasons())
    put(tables.reasons, reasons, policy::kernel_name(reason), reason.hardening);
}

// A kernel without signatures loads what has none, and asks nobody.
Status require_signatures(uint64_t harden) {
  const auto asks = [harden](bw_hardening one) { return (harden >> one & 1) != 0; };
  if (asks(BW_LOCKDOWN_MODULE_SIGNATURE) && !BW_KERNEL_HAS(module_signatures))
    return fail("this kernel verifies no signatures of modules (CONFIG_MODULE_SIG)",
                "write modules = \"deny\" in [harden], or take it out");
  if (asks(BW_LOCKDOWN_KEXEC) && !BW_KERNEL_HAS(kexec_signatures))
    return fail("this kernel verifies no signatures of kernels for kexec (CONFIG_KEXEC_SIG)",
                "write kexec = \"deny\" in [harden], or take it out");
  return {};
}

bool asks_about(const HardenTables& tables, uint32_t hardening) {
  const auto has = [](const auto& table, uint32_t word) {
    return std::ranges::find(table, word) != table.end();
  };
  if (hardening == BW_HARDENING_INTEGRITY) return has(tables.integrity, 1);
  return has(tables.reasons, hardening) || has(tables.files, hardening);
}

}  // namespace

HardenTables harden_tables() {
  HardenTables tables;
  put_reasons(tables);
  const Numbers data = kernel_enum("kernel_load_data_id");
  const Numbers files = kernel_enum("kernel_read_file_id");
  put(tables.data, data, "LOADING_MODULE", BW_HARDENING_MODULES);
  put(tables.data, data, "LOADING_KEXEC_IMAGE", BW_HARDENING_KEXEC);
  put(tables.files, files, "READING_MODULE", BW_HARDENING_MODULES);
  put(tables.files, files, "READING_MODULE_COMPRESSED", BW_HARDENING_MODULES);
  put(tables.files, files, "READING_KEXEC_IMAGE", BW_HARDENING_KEXEC);
  return tables;
}

Status require_hardening(uint64_t harden) {
  if (harden == 0) return {};
  const HardenTables tables = harden_tables();
  for (uint32_t one = 1; one < BW_HARDENINGS; one++) {
    if ((harden >> one & 1) == 0) continue;
    if (!asks_about(tables, one))
      return fail("this kernel asks no hook about " + policy::hardening_text(one),
                  "take " + policy::hardening_setting(one) +
                      " out of [harden]; what the kernel asks about: `bpftool btf dump file "
                      "/sys/kernel/btf/vmlinux | grep LOCKDOWN_`");
  }
  return require_signatures(harden);
}

}  // namespace bpfwarden::loader
