#include "loader/bundles/signed_load.h"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string>

#include "base/fd.h"
#include "bpf-lsm/abi/load_signature.h"
#include "library/bpfwarden/load.h"
#include "loader/btf/kernel_has.h"
#include "loader/kernel/pins.h"
#include "loader/kernel/syscall.h"

namespace bpfwarden::loader {
namespace {

// From Linux 6.18 to 7.2 the kernel has a place for it, and verifies it over less.
bool is_kernel_content_with_less(bool covers_map) {
  return covers_map && BW_KERNEL_HAS(signature_attr) && !BW_KERNEL_HAS(folded_maps);
}

// Whoever else writes there harms this load, and admits nothing.
bool put_beside(const bpf_attr& attr) {
  constexpr unsigned of_thread = O_EXCL;  // PIDFD_THREAD, which older headers do not have
  auto load = std::make_unique<bw_load_signature>();
  if (attr.signature_size > sizeof(load->bytes)) {
    errno = E2BIG;
    return false;
  }
  load->size = attr.signature_size;
  load->keyring = attr.keyring_id;
  load->flags = BW_COVERS_MAP;
  std::memcpy(load->bytes, std::bit_cast<const void*>(attr.signature), attr.signature_size);
  const Fd map(bpf_obj_get((std::string(kPinFolder) + "/map_load_signatures").c_str()));
  if (!map) {
    if (errno == ENOENT) errno = ENOPKG;
    return false;
  }
  const Fd thread(static_cast<int>(::syscall(SYS_pidfd_open, ::gettid(), of_thread)));
  const int key = thread.get();
  return thread && bpf_map_update_elem(map.get(), &key, load.get(), BPF_ANY) == 0;
}

int load_bare(bpf_attr& attr) {
  attr.signature = 0;
  attr.signature_size = attr.fd_array_cnt = 0;
  attr.keyring_id = 0;
  return sys_bpf(BPF_PROG_LOAD, attr);
}

}  // namespace

bool signatures_go_beside(bool covers_map) {
  return bpfwarden_verifier() == BPFWARDEN_BPFWARDEN || is_kernel_content_with_less(covers_map);
}

int load_signed(bpf_attr& attr) {
  const bool covers_map = attr.signature != 0 && attr.fd_array_cnt != 0;
  if (!signatures_go_beside(covers_map)) return sys_bpf(BPF_PROG_LOAD, attr);
  if (attr.signature == 0) return load_bare(attr);
  if (is_kernel_content_with_less(covers_map)) return put_beside(attr) ? load_bare(attr) : -1;
  const bpfwarden_signature signature = {
      .bytes = std::bit_cast<const void*>(attr.signature),
      .size = attr.signature_size,
      .keyring = attr.keyring_id,
      .flags = attr.fd_array_cnt != 0 ? uint32_t{BPFWARDEN_COVERS_MAP} : 0U};
  return bpfwarden_load_program(&attr, sizeof(attr), &signature);
}

void make_exclusive(bpf_attr& attr, const void* hash, unsigned size) {
  if (!BW_KERNEL_HAS(folded_maps)) attr.map_flags |= BPF_F_NUMA_NODE;
  if (!BW_KERNEL_HAS(exclusive_maps)) return;
  attr.excl_prog_hash = as_u64(static_cast<const char*>(hash));
  attr.excl_prog_hash_size = size;
}

}  // namespace bpfwarden::loader
