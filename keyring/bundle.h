// The signed file: what `bpfwarden sign` writes and `bpfwarden run` reads. docs/bundle.md is the
// format, field by field.
//
// The signature covers to_be_signed() and nothing else, because that is all the kernel checks
// (bpf_prog_verify_signature() in kernel/bpf/verifier.c). Every other field is a claim of whoever
// wrote the file: good for display and for filling bpf(2)'s attr, never for a decision.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace bpfwarden::keyring {

struct ProgramEntry {
  std::string name;
  std::string section;  // as libbpf writes it: "fentry/tcp_connect"
  uint32_t prog_type = 0;
  uint32_t expected_attach_type = 0;
  std::string attach;  // as policies write it, "fentry/tcp_connect"; empty if not known

  bool operator==(const ProgramEntry&) const = default;
};

struct MapEntry {
  std::string name;

  bool operator==(const MapEntry&) const = default;
};

struct Bundle {
  enum class Kind {
    loader,   // a light skeleton's BPF_PROG_TYPE_SYSCALL program, which loads `programs`
    program,  // `insns` is the one entry of `programs` itself
  };

  Kind kind = Kind::loader;
  std::string name;
  std::string version;                 // of what is in it, as its maker counts; may be empty
  std::string tool;                    // what wrote the file, with its version
  std::vector<ProgramEntry> programs;  // at least one; exactly one for Kind::program
  std::vector<MapEntry> maps;
  std::string license;
  std::string attach_name;         // Kind::program: the BTF target, "tcp_connect"; may be empty
  std::vector<uint8_t> insns;      // struct bpf_insn, in the byte order of the target
  std::vector<uint8_t> metadata;   // Kind::loader: the gen_loader data blob; else empty
  std::vector<uint8_t> signature;  // see cms.h; empty while unsigned
  std::vector<uint8_t> certificate_der;  // of the signer, for display, never trusted; may be empty
  // Kind::loader: the signature of self_checking_insns(), for kernels whose signatures cover no
  // map.
  std::vector<uint8_t> self_check_signature;  // may be empty

  bool operator==(const Bundle&) const = default;
};

// What sign_detached() signs: insns ‖ metadata.
[[nodiscard]] std::vector<uint8_t> to_be_signed(const Bundle& bundle);

// What self_check_signature signs, and what such a kernel is given to load: see self_check.h.
[[nodiscard]] std::vector<uint8_t> self_checking_insns(const Bundle& bundle);

// The same bundle always gives the same bytes. Errors: what decode() would refuse.
[[nodiscard]] Result<std::vector<uint8_t>> encode(const Bundle& bundle);

// Refuses anything but a complete, canonical file within the limits of docs/bundle.md; errors name
// the byte where reading stopped.
[[nodiscard]] Result<Bundle> decode(std::span<const uint8_t> bytes);

// Errors: errno of reading; as decode().
[[nodiscard]] Result<Bundle> read_bundle(const std::filesystem::path& path);

// Errors: of write_output(); as encode().
[[nodiscard]] Status write_bundle(const std::filesystem::path& path, const Bundle& bundle);

}  // namespace bpfwarden::keyring
