#include "policy/language/read_harden.h"

#include <algorithm>
#include <array>

#include "policy/language/language.h"
#include "policy/language/words.h"

namespace bpfwarden::policy {
namespace {

using std::string;
using std::string_view;

constexpr string_view kIntegrity = "integrity";

// What no policy can close: bpfwarden itself does it.
constexpr string_view kNeeded = "bpf-read-kernel";

constexpr auto kReasons = std::to_array<LockdownReason>({
    {"module-signature", BW_LOCKDOWN_MODULE_SIGNATURE},
    {"dev-mem", BW_LOCKDOWN_DEV_MEM},
    {"efi-test", BW_LOCKDOWN_EFI_TEST},
    {"kexec", BW_LOCKDOWN_KEXEC},
    {"hibernation", BW_LOCKDOWN_HIBERNATION},
    {"pci-access", BW_LOCKDOWN_PCI_ACCESS},
    {"ioport", BW_LOCKDOWN_IOPORT},
    {"msr", BW_LOCKDOWN_MSR},
    {"acpi-tables", BW_LOCKDOWN_ACPI_TABLES},
    {"device-tree", BW_LOCKDOWN_DEVICE_TREE},
    {"pcmcia-cis", BW_LOCKDOWN_PCMCIA_CIS},
    {"tiocsserial", BW_LOCKDOWN_TIOCSSERIAL},
    {"module-parameters", BW_LOCKDOWN_MODULE_PARAMETERS},
    {"mmiotrace", BW_LOCKDOWN_MMIOTRACE},
    {"debugfs", BW_LOCKDOWN_DEBUGFS},
    {"xmon-wr", BW_LOCKDOWN_XMON_WR},
    {"bpf-write-user", BW_LOCKDOWN_BPF_WRITE_USER},
    {"dbg-write-kernel", BW_LOCKDOWN_DBG_WRITE_KERNEL},
    {"rtas-error-injection", BW_LOCKDOWN_RTAS_ERROR_INJECTION},
    {"xen-user-actions", BW_LOCKDOWN_XEN_USER_ACTIONS},
    {"kcore", BW_LOCKDOWN_KCORE},
    {"kprobes", BW_LOCKDOWN_KPROBES},
    {"dbg-read-kernel", BW_LOCKDOWN_DBG_READ_KERNEL},
    {"perf", BW_LOCKDOWN_PERF},
    {"tracefs", BW_LOCKDOWN_TRACEFS},
    {"xmon-rw", BW_LOCKDOWN_XMON_RW},
    {"xfrm-secret", BW_LOCKDOWN_XFRM_SECRET},
});

constexpr uint64_t bit(bw_hardening hardening) { return uint64_t{1} << hardening; }

void unknown_reason(const Value& value, const string& word, DiagnosticList& diagnostics) {
  if (word == kNeeded || word == "confidentiality")
    return diagnostics.error(
        value.position, "`" + word + "` would keep bpfwarden's own programs from being loaded",
        "they read kernel memory; name the reasons that you mean, as in lockdown = [\"integrity\", "
        "\"kcore\"]");
  std::vector<string_view> candidates = {kIntegrity};
  for (const LockdownReason& reason : kReasons) candidates.push_back(reason.name);
  string hint = did_you_mean(word, candidates);
  if (hint.empty()) hint = "docs/policy.md lists them; \"integrity\" is all that write the kernel";
  diagnostics.error(value.position, "`" + word + "` is no reason of lockdown", std::move(hint));
}

void read_reasons(const Fields& fields, const Entry& entry, Policy& policy,
                  DiagnosticList& diagnostics) {
  const Array* reasons = fields.strings(entry);
  if (!reasons) return;
  for (const Value& value : *reasons) {
    const auto* word = std::get_if<string>(&value.data);
    if (!word) continue;
    const auto* const reason = std::ranges::find(kReasons, *word, &LockdownReason::name);
    if (*word == kIntegrity)
      policy.harden |= bit(BW_HARDENING_INTEGRITY);
    else if (reason == kReasons.end())
      unknown_reason(value, *word, diagnostics);
    else
      policy.harden |= bit(reason->hardening);
  }
}

void read_level(const Fields& fields, const char* name, bw_hardening whole, bw_hardening unsigned_,
                Policy& policy) {
  const Entry* entry = fields.find(name);
  if (!entry) return;
  const Loading loading = fields.word<Loading>(*entry, kLoadingWords).value_or(Loading::allow);
  if (loading == Loading::deny) policy.harden |= bit(whole);
  if (loading == Loading::signed_) policy.harden |= bit(unsigned_);
}

}  // namespace

std::span<const LockdownReason> lockdown_reasons() { return kReasons; }

string kernel_name(const LockdownReason& reason) {
  string name = "LOCKDOWN_";
  for (const char one : reason.name)
    name += one == '-' ? '_' : static_cast<char>(one >= 'a' && one <= 'z' ? one - 'a' + 'A' : one);
  return name;
}

string hardening_text(uint32_t hardening) {
  if (hardening == BW_HARDENING_MODULES) return "modules";
  if (hardening == BW_HARDENING_KEXEC) return "kexec";
  const auto* const reason = std::ranges::find(kReasons, hardening, &LockdownReason::hardening);
  return "lockdown " + string(reason == kReasons.end() ? kIntegrity : reason->name);
}

string hardening_setting(uint32_t hardening) {
  if (hardening == BW_HARDENING_MODULES) return "modules = \"deny\"";
  if (hardening == BW_HARDENING_KEXEC) return "kexec = \"deny\"";
  if (hardening == BW_LOCKDOWN_MODULE_SIGNATURE) return "modules = \"signed\"";
  if (hardening == BW_LOCKDOWN_KEXEC) return "kexec = \"signed\"";
  if (hardening == BW_LOCKDOWN_DEV_MEM) return "dev-mem = \"deny\"";
  const string text = hardening_text(hardening);
  return "lockdown = [\"" + text.substr(text.find(' ') + 1) + "\"]";
}

bool closes(uint64_t harden, uint32_t hardening) {
  uint64_t any = uint64_t{1} << hardening;
  if (hardening >= BW_LOCKDOWN_MODULE_SIGNATURE && hardening < BW_LOCKDOWN_KCORE)
    any |= bit(BW_HARDENING_INTEGRITY);
  if (hardening == BW_LOCKDOWN_MODULE_SIGNATURE) any |= bit(BW_HARDENING_MODULES);
  if (hardening == BW_LOCKDOWN_KEXEC) any |= bit(BW_HARDENING_KEXEC);
  return (harden & any) != 0;
}

void read_harden(const Entry& entry, Policy& policy, DiagnosticList& diagnostics) {
  const auto* table = std::get_if<Table>(&entry.value.data);
  if (!table)
    return diagnostics.error(
        entry.value.position, "`harden` must be a table",
        "write [harden] on a line of its own, and below it modules = \"deny\"");
  const Fields fields(*table, entry.position, "[harden]", names_of(TableKind::harden), diagnostics);
  read_level(fields, "modules", BW_HARDENING_MODULES, BW_LOCKDOWN_MODULE_SIGNATURE, policy);
  read_level(fields, "kexec", BW_HARDENING_KEXEC, BW_LOCKDOWN_KEXEC, policy);
  if (const Entry* memory = fields.find("dev-mem"))
    if (fields.word<Action>(*memory, kDefaultWords).value_or(Action::allow) == Action::deny)
      policy.harden |= bit(BW_LOCKDOWN_DEV_MEM);
  if (const Entry* reasons = fields.find("lockdown"))
    read_reasons(fields, *reasons, policy, diagnostics);
}

}  // namespace bpfwarden::policy
