// From an ELF object to the bundle that is to be signed.
#pragma once

#include <filesystem>

#include "base/result.h"
#include "keyring/bundle.h"

namespace bpfwarden::loader {

// libbpf's gen_loader with gen_hash: a loader program and its metadata, which create the maps and
// load the programs of the object inside the kernel (Documentation/bpf/signing.rst). Neither
// privilege nor a BPF-capable host is needed. The signature is left empty.
[[nodiscard]] Result<keyring::Bundle> make_loader_bundle(const std::filesystem::path& path);

// The only program of the object at `path` by itself, for a prog-only signature. Refused if the
// object needs anything that such a signature cannot cover: maps, global data, CO-RE, calls between
// functions.
[[nodiscard]] Result<keyring::Bundle> make_program_bundle(const std::filesystem::path& path);

}  // namespace bpfwarden::loader
