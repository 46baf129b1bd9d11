#include "loader/bundles/signed_load.h"

#include <bit>

#include "library/bpfwarden/load.h"
#include "loader/btf/kernel_has.h"
#include "loader/kernel/syscall.h"

namespace bpfwarden::loader {

bool signatures_go_beside() { return bpfwarden_verifier() == BPFWARDEN_BPFWARDEN; }

int load_signed(bpf_attr& attr) {
  if (!signatures_go_beside()) return sys_bpf(BPF_PROG_LOAD, attr);
  if (attr.signature == 0) {
    attr.signature_size = attr.fd_array_cnt = 0;
    attr.keyring_id = 0;
    return sys_bpf(BPF_PROG_LOAD, attr);
  }
  const bpfwarden_signature signature = {
      .bytes = std::bit_cast<const void*>(attr.signature),
      .size = attr.signature_size,
      .keyring = attr.keyring_id,
      .flags = attr.fd_array_cnt != 0 ? uint32_t{BPFWARDEN_COVERS_MAP} : 0U};
  return bpfwarden_load_program(&attr, sizeof(attr), &signature);
}

void make_exclusive(bpf_attr& attr, const void* hash, unsigned size) {
  if (!BW_KERNEL_HAS(exclusive_maps)) {
    attr.map_flags |= BPF_F_NUMA_NODE;
    return;
  }
  attr.excl_prog_hash = as_u64(static_cast<const char*>(hash));
  attr.excl_prog_hash_size = size;
}

}  // namespace bpfwarden::loader
