#include "loader/kernel/version.h"

#include "bpf-lsm/abi/part.h"

namespace bpfwarden::loader {

const char* const kVersion = BPFWARDEN_VERSION;
const uint32_t kPartAbi = BW_PART_ABI;

}  // namespace bpfwarden::loader
