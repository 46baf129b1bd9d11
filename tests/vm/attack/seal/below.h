// Ways to the kernel from below BPF, as root tries them: modules, kexec, raw access. Each is tried
// on a sealed host without [harden], where it works, and with it.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace bpfwarden::vm {

struct BelowAttack {
  const char* name;
  const char* object;            // of its event: "modules", "lockdown dev-mem"
  std::function<int()> attempt;  // errno; 0: it worked, and is undone
};

using BelowAttacks = std::vector<BelowAttack>;

// Each is about one of the settings, in this order.
[[nodiscard]] BelowAttacks attacks_by_modules();
[[nodiscard]] BelowAttacks attacks_by_kexec();
[[nodiscard]] BelowAttacks attacks_by_memory();    // /dev/mem
[[nodiscard]] BelowAttacks attacks_by_lockdown();  // its other reasons

// What `modules = "signed"` and `kexec = "signed"` refuse.
[[nodiscard]] BelowAttacks attacks_without_signature();

[[nodiscard]] int insert_module(const std::string& file);  // and takes it out again
[[nodiscard]] std::string signed_module();                 // of the kernel's packages; not loaded

}  // namespace bpfwarden::vm
