// Where bpfwarden's own programs are attached: what a rule may refuse, and what a kernel must have.
#pragma once

#include <span>
#include <string_view>

namespace bpfwarden::policy {

// "lsm/bpf_prog_load". All of bpf-lsm/warden.bpf.c and what it includes, but for the iterators,
// which are attached nowhere. A unit test holds the list to the built object.
[[nodiscard]] std::span<const std::string_view> own_attach_points();

}  // namespace bpfwarden::policy
