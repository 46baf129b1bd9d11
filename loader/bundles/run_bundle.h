// Loads a signed bundle into the kernel with raw bpf(2): no feature probe, so nothing unsigned.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "keyring/bundle.h"

namespace bpfwarden::loader {

struct LoadedProgram {
  keyring::ProgramEntry entry;
  Fd fd;
  uint32_t id = 0;
};

// The kernel verifies against `keyring` (a key serial, or 0 to 2 for the system keyrings).
// A loader bundle: exclusive frozen metadata map, signed load, one run. The Error carries the
// kernel's errno: EPERM from a policy, EKEYREJECTED or ENOKEY from the signature check.
[[nodiscard]] Result<std::vector<LoadedProgram>> load_bundle(const keyring::Bundle& bundle,
                                                             int32_t keyring);

// Attaches what its type and the section name say: tracing, LSM, and XDP to `device`.
// Other kinds are an Error: they need a target that only their own tools know.
[[nodiscard]] Result<Fd> attach_program(const LoadedProgram& program, const std::string& device);

// Pins a program or link as `path`; never replaces a file.
[[nodiscard]] Status pin_object(const Fd& object, const std::filesystem::path& path);

}  // namespace bpfwarden::loader
