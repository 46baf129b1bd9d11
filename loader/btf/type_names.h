// The names of program types and of ways to attach, as libbpf and bpftool say them: "xdp". A number
// where libbpf has no name.
#pragma once

#include <cstdint>
#include <string>

namespace bpfwarden::loader {

[[nodiscard]] std::string program_type_name(uint32_t type);
[[nodiscard]] std::string attach_type_name(uint32_t type);

}  // namespace bpfwarden::loader
