// A policy held against what a kernel can hold of it (loader/btf/kernel_abilities.h).
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "loader/btf/kernel_abilities.h"
#include "loader/policies/policy_file.h"

namespace bpfwarden::loader {

// The code of what is found below.
inline constexpr std::string_view kWeakerKernel = "weaker-kernel";

enum class Occasion : uint8_t {
  change,  // somebody makes a policy the active one
  boot,    // what was confirmed comes back: rather less of it than nothing
};

// What of the policy the kernel cannot hold: an error each where anything in it enforces and its
// `accept-kernel` does not name the weakness, else a warning, as always at a boot.
[[nodiscard]] std::vector<policy::Diagnostic> held_against(const CompiledPolicy& compiled,
                                                           const KernelAbilities& kernel,
                                                           Occasion occasion);

// "edge.toml:12: rule ...", for one line.
[[nodiscard]] std::string place_and_message(const policy::Diagnostic& found);

// The refusal, with the place of the first; nothing where no diagnostic is an error.
[[nodiscard]] Status require_held(const std::vector<policy::Diagnostic>& found);

}  // namespace bpfwarden::loader
