#include "loader/signed/signer_evidence.h"

#include "policy/image/signers.h"

namespace bpfwarden::loader {

bw_signed_by evidence_of(const keyring::CmsChain& signer) {
  if (signer.below.empty()) return policy::signed_by(policy::kernel_key(signer.trusted));
  bw_signed_by by = policy::issued_by(policy::kernel_key(signer.trusted), signer.trusted.is_ca);
  for (const Certificate& certificate : signer.below) {
    const bw_key key = policy::kernel_key(certificate);
    const bool may_be_there = by.chain_length == 0 || certificate.is_ca;
    if (!may_be_there || key.length == 0 || by.chain_length == BW_MAX_CHAIN) {
      by.evidence = BW_EVIDENCE_VERIFIED;
      return by;
    }
    by.chain[by.chain_length++] = bw_hash_of_key(&key);
  }
  return by;
}

}  // namespace bpfwarden::loader
