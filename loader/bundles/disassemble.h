// Instructions as text, by LLVM's own disassembler.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/result.h"

namespace bpfwarden::loader {

// Runs llvm-objdump, of whatever version there is. Errors: it is not installed, or fails.
[[nodiscard]] Result<std::string> disassemble(std::span<const uint8_t> insns);

}  // namespace bpfwarden::loader
