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
#include "loader/btf/kernel_has.h"
#include "loader/kernel/pins.h"
#include "loader/kernel/syscall.h"

namespace bpfwarden::loader {
namespace {

constexpr unsigned kOfThread = O_EXCL;  // PIDFD_THREAD, which older headers do not have

// Whoever else writes there harms this load, and admits nothing.
bool put_beside(const bpf_attr& attr) {
  auto load = std::make_unique<bw_load_signature>();
  if (attr.signature_size > sizeof(load->bytes)) {
    errno = E2BIG;
    return false;
  }
  load->size = attr.signature_size;
  load->keyring = attr.keyring_id;
  load->flags = attr.fd_array_cnt != 0 ? uint32_t{BW_COVERS_MAP} : 0U;
  std::memcpy(load->bytes, std::bit_cast<const void*>(attr.signature), attr.signature_size);
  const Fd map(bpf_obj_get((std::string(kPinFolder) + "/map_load_signatures").c_str()));
  if (!map) {
    if (errno == ENOENT) errno = ENOPKG;
    return false;
  }
  const Fd thread(static_cast<int>(::syscall(SYS_pidfd_open, ::gettid(), kOfThread)));
  const int key = thread.get();
  return thread && bpf_map_update_elem(map.get(), &key, load.get(), BPF_ANY) == 0;
}

}  // namespace

bool signatures_go_beside(bool covers_map) {
  return !BW_KERNEL_HAS(signature_attr) || (covers_map && !BW_KERNEL_HAS(folded_maps));
}

int load_signed(bpf_attr& attr) {
  if (!signatures_go_beside(attr.signature != 0 && attr.fd_array_cnt != 0))
    return sys_bpf(BPF_PROG_LOAD, attr);
  if (attr.signature != 0 && !put_beside(attr)) return -1;
  attr.signature = 0;
  attr.signature_size = 0;
  attr.keyring_id = 0;
  attr.fd_array_cnt = 0;
  return sys_bpf(BPF_PROG_LOAD, attr);
}

void make_exclusive(bpf_attr& attr, const void* hash, unsigned size) {
  if (!BW_KERNEL_HAS(folded_maps)) attr.map_flags |= BPF_F_NUMA_NODE;
  if (!BW_KERNEL_HAS(exclusive_maps)) return;
  attr.excl_prog_hash = as_u64(static_cast<const char*>(hash));
  attr.excl_prog_hash_size = size;
}

}  // namespace bpfwarden::loader
