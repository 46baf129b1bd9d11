// Signatures that travel beside the call (docs/adr/0019), as attackers put them there.
#pragma once

#include <bpf/bpf.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <cstring>
#include <functional>
#include <memory>
#include <vector>

#include "bpf-lsm/abi/load_signature.h"
#include "loader/btf/kernel_has.h"
#include "tests/vm/helpers/scene.h"

namespace bpfwarden::vm {

// The pin of load_signatures.
inline constexpr const char* kBesidePin = "/sys/fs/bpf/bpfwarden/map_load_signatures";

// netops' XDP programs, signed; packet filters and iterators of anybody's.
inline constexpr const char* kBesideRules = R"(
[[rules]]
name = "network team"
allow = ["xdp"]
signed-by = ["netops"]
[[rules]]
name = "anybody's"
allow = ["socket", "iter/bpf_map_elem"]
signature = "unsigned"
)";

inline Load returning(int32_t value) {
  Load request;
  request.insns = Load::return_value(value);
  return request;
}

// Into the entry of a thread, as whoever may write the map can. 0, or errno.
inline int put_beside(pid_t thread, const std::vector<uint8_t>& signature, int32_t keyring,
                      uint32_t flags = 0) {
  static const Fd map(bpf_obj_get(kBesidePin));
  const Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, thread, O_EXCL)));
  auto value = std::make_unique<bw_load_signature>();
  value->size = static_cast<uint32_t>(signature.size());
  value->keyring = keyring;
  value->flags = flags;
  std::memcpy(value->bytes, signature.data(), signature.size());
  const int key = pidfd.get();
  return bpf_map_update_elem(map.get(), &key, value.get(), BPF_ANY) == 0 ? 0 : errno;
}

// Without a word of its signature.
inline int load_bare(const Load& request, const std::function<void(bpf_attr&)>& change = {}) {
  Load bare = request;
  bare.signature.clear();
  bare.change = change;
  return load(bare).error;
}

inline void skip_where_the_kernel_verifies_all() {
  if (BW_KERNEL_HAS(folded_maps)) SKIP("the kernel verifies all signatures by itself");
}

}  // namespace bpfwarden::vm
