// What a generated loader loads, read from its own instructions and data: the programs of a light
// skeleton, as libbpf's gen_loader.c writes them (bpf_gen__prog_load).
//
// Of a signed loader these are no claims of a file: they are what the signature covers.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "keyring/bundle.h"

namespace bpfwarden::loader {

struct GeneratedLoad {
  std::string name;  // of at most 15 bytes
  uint32_t prog_type = 0;
  uint32_t expected_attach_type = 0;
  bool is_sleepable = false;
  std::string license;
  std::string target;  // the function or tracepoint of the kernel's BTF; empty: none
};

// In the order of their loads. What does not look like gen_loader's is left out.
[[nodiscard]] std::vector<GeneratedLoad> programs_of_loader(std::span<const uint8_t> insns,
                                                            std::span<const uint8_t> metadata);

// Holds what a bundle's manifest says, which nobody signs, to its loader: the programs with their
// names, types and targets, and the number of maps. Errors: the first that is not so.
[[nodiscard]] Status require_described(const keyring::Bundle& bundle);

}  // namespace bpfwarden::loader
