// What the running kernel has, by its BTF: BW_KERNEL_HAS(name) of bpf-lsm/kernel_has.h, for user
// space. The BTF is read once per process. Where it cannot be read, the kernel has nothing.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>

#include "base/result.h"

namespace bpfwarden::loader {

[[nodiscard]] bool kernel_has_btf();

// From here on this process asks about the kernel whose BTF that file is, not about the running
// one. Errors: it cannot be read; then all is as before.
[[nodiscard]] Status ask_btf_of(const std::filesystem::path& file);
[[nodiscard]] bool is_running_kernel_asked();

// `kind`: "struct" or "union".
[[nodiscard]] bool kernel_has_type(std::string_view kind, const char* type);

// `member` may lead into members, as in `link_create.uprobe_multi.path_fd`.
[[nodiscard]] bool kernel_has_member(std::string_view kind, const char* type,
                                     std::string_view member);

[[nodiscard]] bool kernel_has_value(const char* type, std::string_view value);  // of an enum

// All values of an enum, by their names; empty: there is none.
[[nodiscard]] std::map<std::string, uint32_t> kernel_enum(const char* type);

[[nodiscard]] bool kernel_has_function(const char* name);

// As attach_btf_id names it; 0: there is none.
[[nodiscard]] uint32_t kernel_function_id(const char* name);

}  // namespace bpfwarden::loader

#define BW_HAS_FIELD(kind, type, member) \
  ::bpfwarden::loader::kernel_has_member(#kind, #type, #member)
#define BW_HAS_TYPE(kind, type) ::bpfwarden::loader::kernel_has_type(#kind, #type)
#define BW_HAS_VALUE(type, value) ::bpfwarden::loader::kernel_has_value(#type, #value)
#define BW_HAS_FUNCTION(name) ::bpfwarden::loader::kernel_has_function(#name)

#include "bpf-lsm/kernel_has.h"
