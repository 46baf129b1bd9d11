#include "loader/text/hardened.h"

#include <optional>

#include "policy/language/read_harden.h"

namespace bpfwarden::loader {
namespace {

// Nothing: of a later version.
std::optional<uint32_t> hardening_of(const std::string& object) {
  for (uint32_t one = 1; one < BW_HARDENINGS; one++)
    if (policy::hardening_text(one) == object) return one;
  return std::nullopt;
}

}  // namespace

std::string hardened_deed(const std::string& object) {
  switch (hardening_of(object).value_or(BW_HARDENING_NONE)) {
    case BW_HARDENING_MODULES:
      return "to load a kernel module";
    case BW_LOCKDOWN_MODULE_SIGNATURE:
      return "to load a kernel module without a signature that the kernel could verify";
    case BW_HARDENING_KEXEC:
      return "to load a kernel for kexec";
    case BW_LOCKDOWN_KEXEC:
      return "to load a kernel for kexec without a signature that the kernel could verify";
    case BW_LOCKDOWN_DEV_MEM:
      return "to open /dev/mem or /dev/port";
    default:
      return "what kernel lockdown calls " + object.substr(object.find(' ') + 1);
  }
}

std::string hardened_step(const std::string& object) {
  const auto hardening = hardening_of(object);
  if (!hardening) return "See what [harden] of the policy says of " + object + ".";
  std::string step = "If it is wanted, take " + policy::hardening_setting(*hardening);
  if (*hardening == BW_HARDENING_INTEGRITY ||
      policy::closes(1ULL << BW_HARDENING_INTEGRITY, *hardening))
    step += ", or \"integrity\" in `lockdown`, which includes it,";
  step += " out of [harden] and apply the policy";
  if (*hardening == BW_HARDENING_MODULES)
    step += "; or have the module loaded before bpfwarden begins";
  if (*hardening == BW_HARDENING_KEXEC || *hardening == BW_LOCKDOWN_KEXEC)
    step += "; a kernel for kdump can be loaded before the policy is applied";
  return step + ". If not, treat it as an attack until its author has explained it.";
}

}  // namespace bpfwarden::loader
