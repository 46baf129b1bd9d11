// What this binary is. The version stands in CMakeLists.txt at the top, and nowhere else.
#pragma once

#include <cstdint>

namespace bpfwarden::loader {

extern const char* const kVersion;  // "0.2.0"
extern const uint32_t kPartAbi;     // of the kernel part that it brings: bpf-lsm/abi/part.h

}  // namespace bpfwarden::loader
