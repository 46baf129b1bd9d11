// The C headers that stock `bpftool gen skeleton -L -S` writes: read as bundles, and given another
// signature. The loader in them is the same as in a bundle: libbpf's gen_loader with gen_hash.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "keyring/bundle.h"

namespace bpfwarden::loader {

// By its name: bundles do not end in `.h`.
[[nodiscard]] bool is_skeleton_header(const std::filesystem::path& path);

// A header knows the names of programs and maps, but not where the programs go: types and attach
// points stay empty. Errors: unreadable (errno kept), larger than 64 MiB, not such a header, one
// that was made without -S.
[[nodiscard]] Result<keyring::Bundle> read_skeleton_header(const std::filesystem::path& path);

// The header's text with that signature in place of its own.
[[nodiscard]] Result<std::string> resign_skeleton_header(const std::filesystem::path& path,
                                                         const std::vector<uint8_t>& signature);

// A bundle, or a header.
[[nodiscard]] Result<keyring::Bundle> read_signed(const std::filesystem::path& path);

}  // namespace bpfwarden::loader
