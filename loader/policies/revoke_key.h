// Taking trust away: the certificate out of the policy, and what its key has already put into the
// kernel.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"
#include "keyring/x509.h"
#include "loader/kernel/provenance.h"
#include "policy/text/diagnostic.h"

namespace bpfwarden::loader {

struct Revoked {
  std::string key;          // the policy's name of it
  std::string certificate;  // its subject and fingerprint, for people
  keyring::Digest key_digest = {};
  bool is_issued = false;                       // trusted through the key's `issuer`
  uint64_t version = 0;                         // that the policy has now
  std::vector<policy::Diagnostic> diagnostics;  // warnings about the policy as it is now
  std::vector<policy::SourceFile> sources;
};

// `what` is a certificate's file, or `sha256:` and the fingerprint of one that the policy names.
// `key` may be empty where the policy says whose it is. Rewrites the policy's file (or drop-in);
// nothing is written unless the result is a good policy. Errors: the policy is not good, does not
// know the certificate, or has revoked it already.
[[nodiscard]] Result<Revoked> revoke_certificate(const std::filesystem::path& path,
                                                 const std::string& what, const std::string& key);

// Those of `programs` that were admitted for that key. Of a certificate that an issuer vouches for,
// the kernel part notes the issuer's name only: then all of that issuer's.
[[nodiscard]] std::vector<AdmittedProgram> admitted_for(const Revoked& revoked,
                                                        std::vector<AdmittedProgram> programs);

}  // namespace bpfwarden::loader
