#include "loader/bundles/signed_load.h"

#include <bit>
#include <cerrno>
#include <cstdint>

#include "library/bpfwarden/load.h"
#include "loader/btf/kernel_has.h"
#include "loader/kernel/syscall.h"

namespace bpfwarden::loader {
namespace {

// From Linux 6.18 to 7.2 the kernel has a place for it, and verifies it over less.
bool is_kernel_content_with_less(bool covers_map) {
  return covers_map && BW_KERNEL_HAS(signature_attr) && !BW_KERNEL_HAS(folded_maps);
}

int load_bare(bpf_attr& attr) {
  attr.signature = 0;
  attr.signature_size = attr.fd_array_cnt = 0;
  attr.keyring_id = 0;
  return sys_bpf(BPF_PROG_LOAD, attr);
}

}  // namespace

bool signatures_go_beside(bool covers_map) {
  return bpfwarden_verifier(0) == BPFWARDEN_BPFWARDEN || is_kernel_content_with_less(covers_map);
}

int load_signed(bpf_attr& attr) {
  const bool covers_map = attr.signature != 0 && attr.fd_array_cnt != 0;
  if (!signatures_go_beside(covers_map)) return sys_bpf(BPF_PROG_LOAD, attr);
  if (attr.signature == 0) return load_bare(attr);
  const bpfwarden_signature signature = {.bytes = std::bit_cast<const void*>(attr.signature),
                                         .size = attr.signature_size,
                                         .keyring = attr.keyring_id,
                                         .flags = covers_map ? uint32_t{BPFWARDEN_COVERS_MAP} : 0U};
  if (bpfwarden_verifier(signature.flags) == BPFWARDEN_THE_KERNEL) {
    errno = ENOPKG;  // no policy is active
    return -1;
  }
  return bpfwarden_load_program(&attr, sizeof(attr), &signature);
}

void make_exclusive(bpf_attr& attr, const void* hash, unsigned size) {
  if (!BW_KERNEL_HAS(folded_maps)) attr.map_flags |= BPF_F_NUMA_NODE;
  if (!BW_KERNEL_HAS(exclusive_maps)) return;
  attr.excl_prog_hash = as_u64(static_cast<const char*>(hash));
  attr.excl_prog_hash_size = size;
}

}  // namespace bpfwarden::loader
