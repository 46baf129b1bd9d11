// A policy as typed data: what the text says, checked, with the places it was said at.
//
// Owns everything it holds. Built by parse(), which admits only what this version can enforce;
// compile() turns it into the image. Numbers of enums are those of bpf-lsm/abi/image.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bpf-lsm/abi/image.h"
#include "policy/attach_pattern.h"
#include "policy/source.h"

namespace bpfwarden::policy {

enum class Mode : uint8_t { audit = BW_MODE_AUDIT, enforce = BW_MODE_ENFORCE };
enum class Action : uint8_t { deny = 0, allow = 1 };

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
};

// A certificate as the reader of the caller understood it (keyring/x509.h). The kernel knows its
// key by `public_key` and `kernel_algorithm`: struct public_key in include/crypto/public_key.h.
struct CertificateInfo {
  std::string path;
  std::string subject;
  std::string fingerprint_hex;  // SHA-256 of der
  std::vector<uint8_t> public_key;
  std::string kernel_algorithm;
  int64_t not_before = 0;  // Unix seconds
  int64_t not_after = 0;
  std::vector<uint8_t> der;
};

// A whole keyring of the kernel, or certificates: never both, never neither.
struct Key {
  std::string name;
  std::optional<SystemKeyring> keyring;
  std::vector<CertificateInfo> certificates;
  SourceRange position;  // of the name
};

struct AttachEntry {
  AttachPattern pattern;
  SourceRange position;
};

struct KeyReference {
  std::string name;
  size_t key = 0;  // index into Policy::keys
  SourceRange position;
};

struct Rule {
  std::string name;
  Action action = Action::deny;
  std::vector<AttachEntry> attach;      // at least one
  std::vector<KeyReference> signed_by;  // empty: whoever signed, or nobody
  Signature signature = Signature::unsigned_;
  std::optional<Mode> mode;
  SourceRange position;
};

struct Policy {
  std::string file;
  uint32_t schema = 1;
  std::string name;
  uint64_t version = 0;  // from 1
  Mode mode = Mode::audit;
  Action default_action = Action::deny;
  std::vector<Key> keys;    // in the order of the file
  std::vector<Rule> rules;  // the first that matches decides
};

// The number of public keys that differ; two names may hold one.
[[nodiscard]] size_t count_public_keys(const std::vector<Key>& keys);

}  // namespace bpfwarden::policy
