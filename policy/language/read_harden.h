// [harden]: what a policy closes beside BPF.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "bpf-lsm/abi/harden.h"
#include "policy/language/fields.h"
#include "policy/language/model.h"
#include "policy/text/diagnostic.h"

namespace bpfwarden::policy {

// A reason of lockdown: `pci-access` for LOCKDOWN_PCI_ACCESS of the kernel's enum lockdown_reason.
struct LockdownReason {
  std::string_view name;
  bw_hardening hardening;
};

[[nodiscard]] std::span<const LockdownReason> lockdown_reasons();

// As the kernel spells it: "LOCKDOWN_PCI_ACCESS".
[[nodiscard]] std::string kernel_name(const LockdownReason& reason);

// For events and `status`: "modules", "kexec", "lockdown pci-access".
[[nodiscard]] std::string hardening_text(uint32_t hardening);

// The setting that closes it: `modules = "deny"`.
[[nodiscard]] std::string hardening_setting(uint32_t hardening);

// Whether a policy with these bits closes it, by a wider setting as well: an unsigned module is a
// module, and integrity is several reasons.
[[nodiscard]] bool closes(uint64_t harden, uint32_t hardening);

void read_harden(const Entry& entry, Policy& policy, DiagnosticList& diagnostics);

}  // namespace bpfwarden::policy
