#include "loader/btf/kernel_has.h"

#include <bpf/btf.h>

#include <cerrno>
#include <cstdint>
#include <memory>

namespace bpfwarden::loader {
namespace {

using OwnedTypes = std::unique_ptr<btf, decltype(&btf__free)>;

OwnedTypes& types_of_a_file() {
  static OwnedTypes types(nullptr, btf__free);
  return types;
}

// Null if it cannot be read.
const btf* kernel_types() {
  if (types_of_a_file()) return types_of_a_file().get();
  static const OwnedTypes types(btf__load_vmlinux_btf(), btf__free);
  return types.get();
}

const btf_type* type_of(uint32_t kind, const char* name) {
  if (kernel_types() == nullptr) return nullptr;
  const int id = btf__find_by_name_kind(kernel_types(), name, kind);
  return id > 0 ? btf__type_by_id(kernel_types(), static_cast<uint32_t>(id)) : nullptr;
}

const btf_type* composite(std::string_view kind, const char* name) {
  return type_of(kind == "union" ? BTF_KIND_UNION : BTF_KIND_STRUCT, name);
}

// The type of a member; null if there is none of that name. Looks through anonymous members, as
// union bpf_attr has them.
const btf_type* member_of(const btf_type* type, std::string_view name) {
  const btf_member* members = btf_members(type);
  for (uint32_t i = 0; i < btf_vlen(type); i++) {
    const std::string_view found = btf__name_by_offset(kernel_types(), members[i].name_off);
    const btf_type* inner = btf__type_by_id(kernel_types(), members[i].type);
    if (found == name) return inner;
    if (!found.empty() || !btf_is_composite(inner)) continue;
    if (const btf_type* deeper = member_of(inner, name); deeper != nullptr) return deeper;
  }
  return nullptr;
}

}  // namespace

bool kernel_has_btf() { return kernel_types() != nullptr; }

Status ask_btf_of(const std::filesystem::path& file) {
  btf* types = btf__parse(file.c_str(), nullptr);
  if (types == nullptr) return fail_errno(errno, "cannot read the BTF in " + file.string());
  types_of_a_file().reset(types);
  return {};
}

bool is_running_kernel_asked() { return types_of_a_file() == nullptr; }

bool kernel_has_type(std::string_view kind, const char* type) {
  return composite(kind, type) != nullptr;
}

bool kernel_has_member(std::string_view kind, const char* type, std::string_view member) {
  const btf_type* at = composite(kind, type);
  while (at != nullptr && btf_is_composite(at)) {
    const size_t dot = member.find('.');
    at = member_of(at, member.substr(0, dot));
    if (dot == std::string_view::npos) return at != nullptr;
    member.remove_prefix(dot + 1);
  }
  return false;
}

std::map<std::string, uint32_t> kernel_enum(const char* type) {
  std::map<std::string, uint32_t> values;
  const btf_type* found = type_of(BTF_KIND_ENUM, type);
  for (uint32_t i = 0; found != nullptr && i < btf_vlen(found); i++)
    values[btf__name_by_offset(kernel_types(), btf_enum(found)[i].name_off)] =
        static_cast<uint32_t>(btf_enum(found)[i].val);
  return values;
}

bool kernel_has_value(const char* type, std::string_view value) {
  return kernel_enum(type).contains(std::string(value));
}

uint32_t kernel_function_id(const char* name) {
  if (kernel_types() == nullptr) return 0;
  const int id = btf__find_by_name_kind(kernel_types(), name, BTF_KIND_FUNC);
  return id > 0 ? static_cast<uint32_t>(id) : 0;
}

bool kernel_has_function(const char* name) { return type_of(BTF_KIND_FUNC, name) != nullptr; }

}  // namespace bpfwarden::loader
