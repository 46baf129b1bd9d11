// What can be said about a bundle without a kernel: whose signature it carries, over what, and how
// a policy would decide. No privilege, no network, no bpf(2).
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "keyring/bundle.h"
#include "keyring/cms_chain.h"
#include "keyring/x509.h"
#include "loader/policies/policy_file.h"
#include "policy/image/situation.h"

namespace bpfwarden::loader {

// Who made every signature of the bundle, as the kernel finds out with a keyring of `certificates`.
// Errors: none of them vouches for who signed, who is named; a signature is missing or does not
// match.
[[nodiscard]] Result<keyring::CmsChain> find_bundle_signer(
    const keyring::Bundle& bundle, std::span<const Certificate> certificates);

struct BundleDecision {
  std::string name;    // of the program; "the loader"
  std::string attach;  // where it goes, as the file claims
  bw_decision decision = {};
};

// How the policy decides about the loader and each program, at load, for root. `covers_maps`: as on
// Linux 7.3, else as before. Errors: an attach point that is not known.
[[nodiscard]] Result<std::vector<BundleDecision>> decide_on_bundle(const keyring::Bundle& bundle,
                                                                   const CompiledPolicy& compiled,
                                                                   const keyring::CmsChain& signer,
                                                                   bool covers_maps, int64_t now);

}  // namespace bpfwarden::loader
