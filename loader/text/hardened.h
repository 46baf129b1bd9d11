// Events of what [harden] closes, by their `object`: "modules", "lockdown pci-access".
#pragma once

#include <string>

namespace bpfwarden::loader {

// What somebody tried: "to load a kernel module".
[[nodiscard]] std::string hardened_deed(const std::string& object);

// What to do about it: which setting, and what that means.
[[nodiscard]] std::string hardened_step(const std::string& object);

}  // namespace bpfwarden::loader
