// Where a program goes, by what its object says.
#pragma once

#include <string>

#include "base/result.h"
#include "keyring/bundle.h"
#include "policy/language/attach_pattern.h"

namespace bpfwarden::loader {

// By program type, attach type and the section's name. Errors: an attach point that is not known.
[[nodiscard]] Result<policy::AttachPoint> attach_point_of(const keyring::ProgramEntry& program);

// As libbpf and bpftool name them: "xdp". A number where libbpf has no name.
[[nodiscard]] std::string program_type_name(const keyring::ProgramEntry& program);
[[nodiscard]] std::string attach_type_name(const keyring::ProgramEntry& program);

}  // namespace bpfwarden::loader
