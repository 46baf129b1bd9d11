// Who signed, as the kernel verifies it: evidence, of the signed load in the task's note.
#pragma once

#include "bpf-lsm/signed_by.bpf.h"

// The kernel skips a tracing program that is already under way on the processor: one that was
// preempted there in the middle of it, by whom it is asked for again. So a second one stands beside
// each here, for what the first was skipped at; each does nothing where the other has.

static __always_inline int note_verified(const struct key* key,
                                         const struct public_key_signature* sig, int ret) {
  struct task_note* note = task_note(0);
  if (!note || !note->signature.under_way) return 0;
  if (note->signature.by.evidence == BW_EVIDENCE_VERIFIED &&
      note->signature.verified_sig == (__u64)sig && !ret)
    return 0;
  note->signature.by.evidence = BW_EVIDENCE_NONE;
  if (ret) return 0;
  note->signature.seen |= SEEN_KEY;
  if (!is_public_key(key)) return 0;
  const struct public_key* public = BPF_CORE_READ(key, payload.data[0]);
  note_public_key(&note->signature.by.verified, public);
  if (!note->signature.by.verified.length) return 0;
  note->signature.by.may_issue = may_issue(public);
  note->signature.verified_sig = (__u64)sig;
  note->signature.key_serial = key->serial;
  note->signature.by.evidence = BW_EVIDENCE_VERIFIED;
  return 0;
}

SEC("fexit/verify_signature")
int BPF_PROG(note_verified_key, const struct key* key, const struct public_key_signature* sig,
             int ret) {
  return note_verified(key, sig, ret);
}

SEC("fexit/verify_signature")
int BPF_PROG(note_verified_key_too, const struct key* key, const struct public_key_signature* sig,
             int ret) {
  return note_verified(key, sig, ret);
}

// One signer only. The trusted key verified that signer's signature, or issued its certificate.
static __always_inline int note_signer(struct pkcs7_message* message, int ret) {
  struct task_note* note = task_note(0);
  if (!note || !note->signature.under_way) return 0;
  if (ret == -ENOKEY) note_wanted_key(note, message);
  if (ret) return 0;
  note->signature.seen |= SEEN_SIGNERS;
  if (note->signature.by.evidence != BW_EVIDENCE_VERIFIED) return 0;
  struct pkcs7_signed_info* info = message->signed_infos;
  if (!info || BPF_CORE_READ(info, next)) return 0;
  struct x509_certificate* signer = BPF_CORE_READ(info, signer);
  if ((__u64)BPF_CORE_READ(info, sig) == note->signature.verified_sig) {
    note->signature.by.chain_length = 0;
    note->signature.by.evidence = BW_EVIDENCE_SOLE_SIGNER;
  } else if (signer && note_chain(note, signer)) {
    note->signature.by.evidence = BW_EVIDENCE_ISSUER;
  }
  return 0;
}

SEC("fexit/pkcs7_validate_trust")
int BPF_PROG(note_sole_signer, struct pkcs7_message* message, struct key* ring, int ret) {
  return note_signer(message, ret);
}

SEC("fexit/pkcs7_validate_trust")
int BPF_PROG(note_sole_signer_too, struct pkcs7_message* message, struct key* ring, int ret) {
  return note_signer(message, ret);
}
