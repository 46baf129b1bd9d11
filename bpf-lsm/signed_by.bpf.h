// Which keys stand behind a signature, as the kernel verified it: evidence for facts.bpf.h.
#pragma once

#include "bpf-lsm/facts.bpf.h"
#include "bpf-lsm/kernel/key_types.bpf.h"

static __always_inline bool is_public_key(const struct key* key) {
  static const char expected[] = "public_key";
  char name[sizeof(expected)] = {};
  struct asymmetric_key_subtype* subtype = BPF_CORE_READ(key, payload.data[1]);
  if (bpf_probe_read_kernel_str(name, sizeof(name), BPF_CORE_READ(subtype, name)) < 0) return false;
  return !__builtin_memcmp(name, expected, sizeof(expected));
}

// Leaves a length of 0 where something cannot be read.
static __always_inline void note_public_key(struct bw_key* noted, const struct public_key* public) {
  noted->length = 0;
  __u32 length = BPF_CORE_READ(public, keylen);
  if (!length || length >= BW_KEY_SIZE) return;
  __u32 last = length / 8;
  barrier_var(last);
  if (last >= BW_KEY_WORDS) return;
  noted->bytes[last] = 0;  // pads the last word: keys are compared word by word
  if (bpf_probe_read_kernel(noted->bytes, length, BPF_CORE_READ(public, key))) return;
  __builtin_memset(noted->algorithm, 0, sizeof(noted->algorithm));
  if (bpf_probe_read_kernel_str(noted->algorithm, sizeof(noted->algorithm),
                                BPF_CORE_READ(public, pkey_algo)) < 0)
    return;
  noted->length = length;
}

// Bits of public_key.key_eflags.
enum { KEY_EFLAG_CA, KEY_EFLAG_DIGITALSIG, KEY_EFLAG_KEYCERTSIGN };

// Whether its certificate may issue others, as restrict_link_by_ca() of the kernel has it: a CA,
// whose key is for that. A certificate that names no use of its key leaves it open, and may.
static __always_inline bool may_issue(const struct public_key* public) {
  if (!BW_KERNEL_HAS(key_flags)) return false;
  const unsigned long flags = BPF_CORE_READ(public, key_eflags);
  if (!(flags & 1UL << KEY_EFLAG_CA)) return false;
  return (flags & 1UL << KEY_EFLAG_KEYCERTSIGN) || !(flags & 1UL << KEY_EFLAG_DIGITALSIG);
}

// The keys of the certificates from who signed to the one that the trusted key has issued, whose
// signature it verified; the kernel has verified those below. Ends at a certificate that was not
// allowed to issue the one before, and fails.
static __always_inline bool note_chain(struct task_note* note, struct x509_certificate* signer) {
  struct x509_certificate* certificate = signer;
  int i;
  struct bw_signed_by* by = &note->signature.by;
  by->chain_length = 0;
  bpf_for(i, 0, BW_MAX_CHAIN) {
    const struct public_key* public = BPF_CORE_READ(certificate, pub);
    if (i && !may_issue(public)) return false;
    note_public_key(&note->signature.passing, public);
    if (!note->signature.passing.length) return false;
    by->chain[i & (BW_MAX_CHAIN - 1)] = bw_hash_of_key(&note->signature.passing);
    by->chain_length = i + 1;
    if ((__u64)BPF_CORE_READ(certificate, sig) == note->signature.verified_sig) return true;
    struct x509_certificate* issuer = BPF_CORE_READ(certificate, signer);
    if (!issuer || issuer == certificate) return false;
    certificate = issuer;
  }
  return false;
}

// The id of who signed: a subject key identifier, or a serial number and an issuer.
static __always_inline void note_wanted_key(struct task_note* note, struct pkcs7_message* message) {
  struct pkcs7_signed_info* info = message->signed_infos;
  struct asymmetric_key_id* id = info ? BPF_CORE_READ(info, sig, auth_ids[0]) : 0;
  __u32 length = id ? BPF_CORE_READ(id, len) : 0;
  if (length > BW_KEY_ID_SIZE) length = BW_KEY_ID_SIZE;
  if (length && !bpf_probe_read_kernel(note->signature.wanted_key, length, id->data))
    note->signature.wanted_key_length = length;
}
