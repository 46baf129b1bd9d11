// The two things about a BPF object that libbpf keeps to itself.
#pragma once

#include <filesystem>
#include <string>

#include "base/result.h"

namespace bpfwarden::loader {

struct ElfFacts {
  std::string license;                // the section "license"
  bool has_core_relocations = false;  // struct btf_ext_header::core_relo_len of .BTF.ext
};

[[nodiscard]] Result<ElfFacts> read_elf_facts(const std::filesystem::path& object);

}  // namespace bpfwarden::loader
