// What a kernel can hold of a policy: one table, made of facts that were asked for (BTF, /sys),
// never of a version. doctor, status, the refusals of apply, `run` and docs/kernels.md all come
// from here. Plain data.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "policy/language/model.h"

namespace bpfwarden::loader {

// What was found. All false: a kernel of which nothing can be read.
struct KernelFacts {
  bool signature_attr = false;      // a load can carry a signature
  bool signature_verdict = false;   // and the program keeps the verdict
  bool folded_maps = false;         // it covers the maps that the program is bound to
  bool program_digest = false;      // SHA-256 of the instructions is kept
  bool verifying_function = false;  // bpf_verify_pkcs7_signature()
  bool task_work = false;           // the end of a system call can be awaited
  bool lsm_of_cgroups = false;
  bool bpf_keyring = false;         // there is a keyring `.bpf`
  bool bpf_keyring_alone = false;   // and keyrings of users are refused: bpf.keyring_unsealed=1
  bool verifies_by_itself = false;  // bpfwarden's kernel part does, what the kernel cannot

  bool operator==(const KernelFacts&) const = default;
};

// Of the running kernel, or that of ask_btf_of(), of which /sys says nothing.
[[nodiscard]] KernelFacts facts_of_kernel();

// Whether bpfwarden's kernel part verifies signatures here, all of them or those that cover a map:
// verifies_here() of bpf-lsm/verify/pkcs7.bpf.h.
[[nodiscard]] bool verifies_by_kernel_part();

// Of the running kernel alone: what a file of /proc/sys or /sys says. False where there is none.
[[nodiscard]] bool is_kernel_setting_on(const char* file);

enum class Verifier : uint8_t { nobody, kernel, bpfwarden, both };  // both: bpfwarden the maps

struct KernelAbilities {
  policy::Signature by_kernel = policy::Signature::unsigned_;  // the most that it verifies itself
  policy::Signature most = policy::Signature::unsigned_;       // the most that is told of a program
  Verifier verifier = Verifier::nobody;
  bool own_keyring = false;      // signatures are verified in keyrings of bpfwarden's
  bool bpf_keyring = false;      // there is a keyring `.bpf`
  bool signed_policies = false;  // the kernel part can verify them
  bool digests = false;
  bool awaits_ends = false;  // `detect`, and links of many targets, see docs/policy.md
  bool seal = false;

  bool operator==(const KernelAbilities&) const = default;

  // Where it is in force; else the kernel has closed it empty.
  [[nodiscard]] bool verifies_in_bpf_keyring() const {
    return bpf_keyring && !own_keyring && verifier != Verifier::nobody;
  }
};

[[nodiscard]] KernelAbilities abilities_of(const KernelFacts& facts);
[[nodiscard]] inline KernelAbilities abilities_of_kernel() {
  return abilities_of(facts_of_kernel());
}

// "Y": `.bpf` is in force.
inline constexpr const char* kBpfKeyringSetting = "/sys/module/bpf/parameters/keyring_unsealed";

// Of a kernel that was booted with bpf.keyring_unsealed=1, and what to do about it.
inline constexpr const char* kBpfKeyringAlone =
    "this kernel was booted with bpf.keyring_unsealed=1: it refuses each load that names a keyring "
    "of bpfwarden's (EPERM), before any hook";
inline constexpr const char* kBpfKeyringHint =
    "give the key keyring = \"bpf\", and have the initramfs put its certificate there: `bpfwarden "
    "enrol`; or boot without bpf.keyring_unsealed=1";

// Of the keyring `.bpf`, where nothing is verified in it.
inline constexpr const char* kNoBpfKeyring = "this kernel has no keyring .bpf";
inline constexpr const char* kNoBpfKeyringHint =
    "use a kernel after Linux 7.3; without keyring = \"bpf\" the key's certificates are in a "
    "keyring of bpfwarden's";
inline constexpr const char* kBpfKeyringClosed =
    "the kernel has closed .bpf empty, as it does without bpf.keyring_unsealed=1";
inline constexpr const char* kBpfKeyringClosedHint =
    "boot with bpf.keyring_unsealed=1, and have the initramfs fill .bpf: `bpfwarden enrol`";

// "nobody", "kernel", "bpfwarden", "kernel-and-bpfwarden", as JSON has it.
[[nodiscard]] std::string_view verifier_name(Verifier verifier);

// "by the kernel: prog-only", for one line.
[[nodiscard]] std::string verification_text(const KernelAbilities& kernel);

// Kernels that were looked at, with what was found: for documents, and for tests in guests, which
// hold each row to a kernel of that kind. Nothing decides by it.
struct KnownKernel {
  std::string_view name;
  KernelFacts facts;
  bool is_tried = true;  // false: from its source and documents alone
};
[[nodiscard]] std::span<const KnownKernel> known_kernels();

// The rows of docs/kernels.md, as a Markdown table.
[[nodiscard]] std::string kernel_table();

}  // namespace bpfwarden::loader
