#include "loader/kernel/struct_ops.h"

#include <bpf/bpf.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string_view>

#include "loader/kernel/syscall.h"

namespace bpfwarden::loader {
namespace {

// enum bpf_struct_ops_state; the first word of the value is a count, the second this.
constexpr uint32_t kStateInUse = 1, kStateReady = 3;

// Without typedefs and qualifiers; null if there is none.
const btf_type* plain_type(const btf* types, uint32_t id) {
  const int resolved = btf__resolve_type(types, id);
  return resolved > 0 ? btf__type_by_id(types, static_cast<uint32_t>(resolved)) : nullptr;
}

bool is_function(const btf* types, uint32_t id) {
  const btf_type* pointer = plain_type(types, id);
  if (pointer == nullptr || !btf_is_ptr(pointer)) return false;
  const btf_type* function = plain_type(types, pointer->type);
  return function != nullptr && btf_is_func_proto(function);
}

// The kernel's own BTF has an id as well.
bool is_of_module(uint32_t id) {
  const Fd fd(bpf_btf_get_fd_by_id(id));
  std::array<char, 64> name = {};
  bpf_btf_info info = {};
  info.name = as_u64(name.data());
  info.name_len = static_cast<uint32_t>(name.size());
  uint32_t size = sizeof(info);
  return fd && bpf_btf_get_info_by_fd(fd.get(), &info, &size) == 0 &&
         std::string_view(name.data()) != "vmlinux";
}

// Offsets of the function pointers of `value_type`, which is { struct bpf_struct_ops_common_value
// common; struct … data; }.
std::vector<size_t> pointer_offsets(const btf* types, uint32_t value_type) {
  std::vector<size_t> offsets;
  const btf_type* value = btf__type_by_id(types, value_type);
  if (value == nullptr || !btf_is_struct(value) || btf_vlen(value) < 2) return offsets;
  const btf_member& data = btf_members(value)[1];
  const size_t begin = btf_member_bit_offset(value, 1) / 8;
  const btf_type* operations = btf__type_by_id(types, data.type);
  if (operations == nullptr || !btf_is_struct(operations)) return offsets;
  for (uint32_t i = 0; i < btf_vlen(operations); i++)
    if (is_function(types, btf_members(operations)[i].type))
      offsets.push_back(begin + btf_member_bit_offset(operations, i) / 8);
  return offsets;
}

}  // namespace

Result<const btf*> StructOps::types(uint32_t id) {
  if (!kernel_) kernel_.reset(btf__load_vmlinux_btf());
  if (!kernel_) return fail_errno(errno, "cannot read the kernel's BTF");
  if (id == 0 || !is_of_module(id)) return kernel_.get();
  Types& module = modules_[id];
  if (!module) module.reset(btf__load_from_kernel_by_id_split(id, kernel_.get()));
  if (!module) return fail_errno(errno, "cannot read a module's BTF");
  return module.get();
}

Result<StructOpsMembers> StructOps::members_of(const Fd& map, const bpf_map_info& info) {
  std::vector<std::byte> value(info.value_size);
  const uint32_t key = 0;
  if (bpf_map_lookup_elem(map.get(), &key, value.data()) != 0)
    return fail_errno(errno, "cannot read the struct_ops");
  uint32_t state = 0;
  StructOpsMembers members;
  if (value.size() < 2 * sizeof(state)) return members;
  std::memcpy(&state, value.data() + sizeof(state), sizeof(state));
  if (state != kStateInUse && state != kStateReady) return members;
  members.needs_link = state == kStateReady;
  const auto known = types(info.btf_vmlinux_id);
  if (!known) return std::unexpected(known.error());
  for (const size_t offset : pointer_offsets(*known, info.btf_vmlinux_value_type_id)) {
    uint32_t id = 0;
    if (offset + sizeof(uint64_t) > value.size()) break;
    std::memcpy(&id, value.data() + offset, sizeof(id));
    if (id != 0) members.programs.push_back(id);
  }
  return members;
}

}  // namespace bpfwarden::loader
