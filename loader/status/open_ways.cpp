#include "loader/status/open_ways.h"

#include <algorithm>

#include "bpf-lsm/decide.h"
#include "loader/btf/harden_tables.h"
#include "loader/btf/kernel_abilities.h"
#include "loader/host/lockdown.h"
#include "loader/text/kernel_text.h"
#include "policy/language/read_harden.h"

namespace bpfwarden::loader {
namespace {

using std::string;
using Names = std::vector<string>;

// By the hooks that are asked: what closes something is there as long as they are.
bool has_hooks(const Names& missing, std::initializer_list<const char*> asked) {
  return std::ranges::none_of(
      asked, [&](const char* hook) { return std::ranges::find(missing, hook) != missing.end(); });
}

class Closed {
 public:
  Closed(const bw_image& image, const KernelClosings& kernel, const Names& missing, int64_t now)
      : kernel_(kernel),
        harden_(bw_enforces_at(&image, now) != 0 && kernel.knows_reasons ? image.harden : 0),
        asks_loads_(has_hooks(missing, {"harden_load_data", "harden_read_file"})),
        asks_lockdown_(has_hooks(missing, {"harden_locked_down"})) {}

  [[nodiscard]] bool load(bw_hardening one, bool by_kernel) const {
    return by_kernel || (asks_loads_ && policy::closes(harden_, one));
  }
  [[nodiscard]] bool reason(bw_hardening one, bool by_kernel) const {
    return by_kernel || kernel_.integrity || (asks_lockdown_ && policy::closes(harden_, one));
  }
  [[nodiscard]] bool other_reasons() const {
    for (uint32_t one = BW_LOCKDOWN_MODULE_SIGNATURE; one < BW_LOCKDOWN_KCORE; one++) {
      const auto is_named_apart = one == BW_LOCKDOWN_MODULE_SIGNATURE || one == BW_LOCKDOWN_KEXEC ||
                                  one == BW_LOCKDOWN_DEV_MEM;
      if (!is_named_apart && !reason(static_cast<bw_hardening>(one), false)) return false;
    }
    return true;
  }

 private:
  const KernelClosings& kernel_;
  uint64_t harden_;
  bool asks_loads_, asks_lockdown_;
};

}  // namespace

KernelClosings read_closings(const bw_image& image) {
  const string modes = lockdown_modes();
  return {.modules = is_kernel_setting_on("/proc/sys/kernel/modules_disabled"),
          .unsigned_modules = is_kernel_setting_on("/sys/module/module/parameters/sig_enforce"),
          .kexec = is_kernel_setting_on("/proc/sys/kernel/kexec_load_disabled"),
          .has_kexec_loaded = is_kernel_setting_on("/sys/kernel/kexec_loaded"),
          .integrity = modes.find("[integrity]") != string::npos || forbids_kernel_reads(modes),
          .knows_reasons = require_hardening(image.harden).has_value()};
}

std::vector<string> open_ways(const bw_image& image, const KernelClosings& kernel,
                              const Names& missing_hooks, int64_t now) {
  const Closed closed(image, kernel, missing_hooks, now);
  Names open;
  if (!closed.load(BW_HARDENING_MODULES, kernel.modules))
    open.emplace_back(closed.reason(BW_LOCKDOWN_MODULE_SIGNATURE, kernel.unsigned_modules)
                          ? "signed modules"
                          : "modules");
  if (!closed.load(BW_HARDENING_KEXEC, kernel.kexec))
    open.emplace_back(closed.reason(BW_LOCKDOWN_KEXEC, false) ? "signed kexec" : "kexec");
  if (kernel.has_kexec_loaded) open.emplace_back("the kernel loaded for kexec");
  if (!closed.reason(BW_LOCKDOWN_DEV_MEM, false)) open.emplace_back("/dev/mem");
  if (!closed.other_reasons()) open.emplace_back("lockdown");
  open.emplace_back("reboot");
  return open;
}

std::vector<string> policy_signer_names(const bw_image& image) {
  Names names;
  for (uint32_t slot = 0; slot < std::min<uint32_t>(image.signer_count, BW_MAX_SIGNERS); slot++) {
    if ((image.policy_signers >> slot & 1) == 0) continue;
    const bw_signer& signer = image.signers[slot];
    string name = kernel_text(signer.name, sizeof(signer.name));
    if (std::ranges::find(names, name) == names.end()) names.push_back(std::move(name));
  }
  return names;
}

}  // namespace bpfwarden::loader
