// A policy as typed data: what the text says, checked, with the places it was said at.
//
// Owns everything it holds. Built by parse(), which admits only what this version can enforce;
// compile() turns it into the image. Numbers of enums are those of bpf-lsm/abi/image.h.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/certificate.h"
#include "bpf-lsm/abi/image.h"
#include "policy/language/attach_pattern.h"
#include "policy/text/source.h"

namespace bpfwarden::policy {

enum class Mode : uint8_t { audit = BW_MODE_AUDIT, enforce = BW_MODE_ENFORCE };

// load_only: verified by the kernel, never attached or run.
enum class Action : uint8_t { deny, allow, load_only };

// Weakest first: a rule's signature is the least it is content with.
enum class Signature : uint8_t {
  unsigned_ = BW_SIGNATURE_UNSIGNED,
  prog_only = BW_SIGNATURE_PROG_ONLY,
  prog_used_maps = BW_SIGNATURE_PROG_USED_MAPS,
};

enum class SystemKeyring : uint8_t {
  builtin = BW_SIGNER_BUILTIN,
  secondary = BW_SIGNER_SECONDARY,
  platform = BW_SIGNER_PLATFORM,
  bpf = BW_SIGNER_BPF,
};

enum class Origin : uint8_t { user = BW_ORIGIN_USER, loader = BW_ORIGIN_LOADER };

enum class License : uint8_t { proprietary = 0, gpl_compatible = 1 };

// Of callers that share their file descriptors, as threads do: refused, or looked at afterwards.
enum class SharedAttach : uint8_t { deny, detect };

// Whether BPF tokens may be made, with which user namespaces load programs.
enum class Tokens : uint8_t { allow, deny };

// Of kernel modules, and of kernels to boot by kexec.
enum class Loading : uint8_t { allow, signed_, deny };

// What a kernel may lack, and a policy be enforced on it all the same (`accept-kernel`).
enum class KernelWeakness : uint8_t {
  no_digests,  // no digest of a program is kept: what names digests matches nothing
};

using ProgramDigest = std::array<uint8_t, BW_DIGEST_SIZE>;  // SHA-256 of the instructions

// Where each setting of a table was given, for diagnostics about it.
struct SettingPlace {
  std::string name;
  SourceRange position;  // of its value
};

// `otherwise` where there is no such setting.
[[nodiscard]] SourceRange place_of(const std::vector<SettingPlace>& settings, std::string_view name,
                                   SourceRange otherwise);

// Keys by their certificates, by the certificate of their issuer, or a whole keyring of the kernel;
// certificates together with a keyring: these, in that keyring.
struct Key {
  std::string name;
  std::string description;
  std::optional<SystemKeyring> keyring;
  std::vector<Certificate> certificates;  // without the revoked ones
  std::vector<Certificate> issuers;
  std::vector<Certificate> revoked;    // issued ones that are no longer trusted
  std::vector<Certificate> withdrawn;  // certificates that `revoked` has taken out
  SourceRange position;                // of the name
  std::vector<SettingPlace> settings;
};

// All that the keyring holds is trusted, not only what is named.
[[nodiscard]] inline bool is_whole_keyring(const Key& key) {
  return key.keyring && key.certificates.empty() && key.issuers.empty();
}

struct AttachEntry {
  AttachPattern pattern;
  SourceRange position;
};

struct KeyReference {
  std::string name;
  size_t key = 0;  // index into Policy::keys
  SourceRange position;
};

// Text that must be met whole, or by its beginning: a path.
struct PathPattern {
  std::string text;        // without the `*`
  bool is_prefix = false;  // a trailing `*` was given
};

// A warning that whoever wrote the policy knows of.
struct AcceptedWarning {
  std::string code;
  SourceRange position;
};

struct Rule {
  std::string name;
  std::string description;
  Action action = Action::deny;
  std::vector<AttachEntry> attach;      // at least one
  std::vector<KeyReference> signed_by;  // empty: whoever signed, or nobody
  Signature signature = Signature::unsigned_;
  std::vector<ProgramDigest> digests;  // empty, as for all that follow: no condition
  std::optional<Origin> origin;
  std::vector<uint32_t> uids;
  std::vector<PathPattern> exes;
  std::vector<PathPattern> cgroups;
  std::optional<bool> sleepable;
  std::optional<bool> delegated;
  std::optional<License> license;
  std::optional<int64_t> not_before;  // Unix seconds: in force from here
  std::optional<int64_t> expires;     // and no longer from here
  std::optional<Mode> mode;
  std::optional<SharedAttach> multithreaded_attach;
  bool log = true;  // false: what it admits leaves no event
  std::vector<AcceptedWarning> accept;
  SourceRange position;
  std::vector<SettingPlace> settings;
};

// More are not looked at.
inline constexpr uint32_t kMostPolicySignatures = 4;

// Who may sign the policy that comes after a sealed one, and how many of them have to.
struct PolicySigners {
  std::vector<KeyReference> keys;  // none is a whole keyring; empty: nobody may
  uint32_t needed = 1;             // by different public keys
};

struct Policy {
  std::vector<std::string> files;  // by SourceRange::file
  uint32_t schema = 1;
  std::string name;
  std::string description;
  uint64_t version = 0;  // from 1
  Mode mode = Mode::audit;
  Action default_action = Action::deny;  // never load_only
  SharedAttach multithreaded_attach = SharedAttach::deny;
  Tokens bpf_tokens = Tokens::allow;
  uint64_t harden = 0;  // [harden]: a bit for each enum bw_hardening that is closed
  bool seal = false;    // once confirmed, only a signed policy replaces it
  PolicySigners policy_signers;
  uint32_t log_allowed = BW_LOG_ALL;        // events per second of what is allowed; 0: none
  std::vector<ProgramDigest> deny_digests;  // denied whatever the rules say
  std::vector<AcceptedWarning> accept;      // wherever they are drawn
  std::vector<KernelWeakness> accept_kernel;
  std::vector<Key> keys;               // in the order of the files
  std::vector<Rule> rules;             // the first that matches decides
  std::vector<SettingPlace> settings;  // those of the first file
};

// The different public keys that these references stand for and that count: those of certificates
// and of CAs, without any that a key of the policy revokes.
[[nodiscard]] size_t count_public_keys(const std::vector<KeyReference>& references,
                                       const std::vector<Key>& keys);

// The number of slots of bw_image.signers that the keys take.
[[nodiscard]] size_t count_signers(const std::vector<Key>& keys);

// Whether something in the policy can be decided only when a program is attached.
[[nodiscard]] bool decides_at_attach(const Policy& policy);

}  // namespace bpfwarden::policy
