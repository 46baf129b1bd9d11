// In the place of loader/kernel/version.cpp: what else there is of this binary is the same.
#include "bpf-lsm/abi/part.h"
#include "loader/kernel/version.h"

namespace bpfwarden::loader {

const char* const kVersion = "99.0.0";
const uint32_t kPartAbi = BW_PART_ABI + 1;

}  // namespace bpfwarden::loader
