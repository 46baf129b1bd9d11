// What the kernel part will know of who made a signature, from the chain that user space found.
#pragma once

#include "bpf-lsm/signer.h"
#include "keyring/cms_chain.h"

namespace bpfwarden::loader {

// As note_chain() in bpf-lsm/signed_by.bpf.h has it: where a certificate of the chain may not issue
// others, or the chain is too long, that somebody signed is all that is known.
[[nodiscard]] bw_signed_by evidence_of(const keyring::CmsChain& signer);

}  // namespace bpfwarden::loader
