#include "loader/bundles/light_skeleton.h"

#include <bpf/bpf.h>
#include <bpf/skel_internal.h>

#include <cerrno>
#include <cstring>
#include <string_view>

#include "keyring/x509.h"
#include "loader/bundles/signed_load.h"
#include "loader/kernel/syscall.h"

namespace bpfwarden::loader {
namespace {

// The kernel computes the hash when it is asked for it, and keeps it in the map.
Status ask_for_hash(const Fd& map) {
  keyring::Digest hash = {};
  bpf_map_info info = {};
  info.hash = as_u64(hash.data());
  info.hash_size = static_cast<uint32_t>(hash.size());
  bpf_attr attr = {};
  attr.info.bpf_fd = static_cast<uint32_t>(map.get());
  attr.info.info = as_u64(&info);
  attr.info.info_len = sizeof(info);
  if (sys_bpf(BPF_OBJ_GET_INFO_BY_FD, attr) != 0)
    return fail_errno(errno, "the kernel takes no hash of the loader's map");
  return {};
}

Status fill_and_freeze(const Fd& map, std::span<const uint8_t> metadata) {
  const uint32_t key = 0;
  bpf_attr update = {};
  update.map_fd = static_cast<uint32_t>(map.get());
  update.key = as_u64(&key);
  update.value = as_u64(metadata.data());
  if (sys_bpf(BPF_MAP_UPDATE_ELEM, update) != 0)
    return fail_errno(errno, "cannot fill the loader's map");
  bpf_attr freeze = {};
  freeze.map_fd = static_cast<uint32_t>(map.get());
  if (sys_bpf(BPF_MAP_FREEZE, freeze) != 0)
    return fail_errno(errno, "cannot freeze the loader's map");
  return {};
}

}  // namespace

Result<Fd> make_metadata_map(const LightSkeleton& skeleton) {
  const keyring::Digest owner = keyring::sha256(skeleton.insns);
  bpf_attr attr = {};
  attr.map_type = BPF_MAP_TYPE_ARRAY;
  attr.key_size = sizeof(uint32_t);
  attr.value_size = static_cast<uint32_t>(skeleton.metadata.size());
  attr.max_entries = 1;
  make_exclusive(attr, owner.data(), static_cast<unsigned>(owner.size()));
  std::string_view("__loader.map").copy(attr.map_name, sizeof(attr.map_name) - 1);
  Fd map(sys_bpf(BPF_MAP_CREATE, attr));
  if (!map) return fail_errno(errno, "cannot create the loader's map");
  if (Status filled = fill_and_freeze(map, skeleton.metadata); !filled)
    return std::unexpected(std::move(filled).error());
  if (!skeleton.asks_for_hash) return map;
  if (Status asked = ask_for_hash(map); !asked) return std::unexpected(std::move(asked).error());
  return map;
}

Result<Fd> load_loader(const LightSkeleton& skeleton, const Fd& map, int32_t keyring) {
  const int fd = map.get();
  bpf_attr attr = {};
  attr.prog_type = BPF_PROG_TYPE_SYSCALL;
  attr.insns = as_u64(skeleton.insns.data());
  attr.insn_cnt = static_cast<uint32_t>(skeleton.insns.size() / sizeof(bpf_insn));
  attr.license = as_u64("Dual BSD/GPL");
  attr.prog_flags = BPF_F_SLEEPABLE;
  attr.signature = as_u64(skeleton.signature.data());
  attr.signature_size = static_cast<uint32_t>(skeleton.signature.size());
  attr.keyring_id = keyring;
  attr.fd_array = as_u64(&fd);
  // Before 7.3 the kernel binds the maps of a counted fd_array while the program's digest is still
  // unknown, so an exclusive map would fit no program.
  attr.fd_array_cnt = skeleton.asks_for_hash ? 0 : 1;
  std::string_view("__loader.prog").copy(attr.prog_name, sizeof(attr.prog_name) - 1);
  Fd loader(load_signed(attr));
  if (!loader) return fail_errno(errno, "cannot load the loader");
  return loader;
}

std::vector<uint8_t> loader_context(size_t maps, size_t programs) {
  std::vector<uint8_t> context(sizeof(bpf_loader_ctx) + maps * sizeof(bpf_map_desc) +
                               programs * sizeof(bpf_prog_desc));
  const bpf_loader_ctx header = {.sz = static_cast<uint32_t>(context.size())};
  std::memcpy(context.data(), &header, sizeof(header));
  return context;
}

Status run_loader(const Fd& loader, std::span<uint8_t> context) {
  bpf_attr attr = {};
  attr.test.prog_fd = static_cast<uint32_t>(loader.get());
  attr.test.ctx_in = as_u64(context.data());
  attr.test.ctx_size_in = static_cast<uint32_t>(context.size());
  if (sys_bpf(BPF_PROG_RUN, attr) != 0) return fail_errno(errno, "cannot run the loader");
  const int result = static_cast<int>(attr.test.retval);
  if (result < 0) return fail_errno(-result, "the loader failed");
  return {};
}

}  // namespace bpfwarden::loader
