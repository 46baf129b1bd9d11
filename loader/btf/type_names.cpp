#include "loader/btf/type_names.h"

#include <bpf/libbpf.h>

namespace bpfwarden::loader {

std::string program_type_name(uint32_t type) {
  const char* name = libbpf_bpf_prog_type_str(static_cast<bpf_prog_type>(type));
  return name != nullptr ? name : std::to_string(type);
}

std::string attach_type_name(uint32_t type) {
  const char* name = libbpf_bpf_attach_type_str(static_cast<bpf_attach_type>(type));
  return name != nullptr ? name : std::to_string(type);
}

}  // namespace bpfwarden::loader
