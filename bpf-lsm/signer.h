// Who signed: the one place where a policy image and the keys behind a signature become a slot of
// bw_image.signers.
//
// Compiled by clang into warden.bpf.c and by g++ into the manager and the tests, as decide.h is. A
// revoked key is nobody's, so it is always asked first whether one is; what the evidence does not
// show, or the image does not know, is BW_SIGNER_UNKNOWN.
#pragma once

#include "bpf-lsm/decide.h"

#ifndef __bpf__
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wold-style-cast"
#endif

// struct public_key of the kernel, copied: words are NUL padded.
struct bw_key {
  __u32 length;  // of bytes; 0: there is none, or it could not be read
  __u32 reserved;
  __u64 algorithm[BW_ALGORITHM_SIZE / 8];
  __u64 bytes[BW_KEY_WORDS];
};

// What is known of who signed. Less than that of a sole signer is as good as nothing: a second
// signer, or a certificate that no CA issued, must not make a revoked key count again.
enum bw_evidence {
  BW_EVIDENCE_NONE,
  BW_EVIDENCE_VERIFIED,     // by `verified`, which is not all that it takes
  BW_EVIDENCE_SOLE_SIGNER,  // `verified` is the key that signed, and no other did
  BW_EVIDENCE_ISSUER,       // it issued, over CAs, the certificate of the only one that signed
};

enum {
  BW_MAX_CHAIN = 16,  // certificates between a trusted key and who signed, that one's included
};

struct bw_signed_by {
  __u32 evidence;          // enum bw_evidence
  __u32 may_issue;         // what the certificate of `verified` says; in a system keyring it counts
  struct bw_key verified;  // the trusted key
  __u64 chain[BW_MAX_CHAIN];  // bw_hash_of_key() of the keys below `verified`, the signer's first
  __u32 chain_length;
  __u32 reserved;
};

BW_SUBPROGRAM __u64 bw_hash_of_key(const struct bw_key* key) {
  const __u32 words = (key->length + 7) / 8;
  __u64 hash = key->length;
  int i;
  bw_for(i, words) {
    const __u32 word = (__u32)i;
    if (word >= BW_KEY_WORDS) break;
    hash = bw_hash_key_word(hash, key->bytes[word]);
  }
  return hash;
}

BW_INLINE int bw_is_key_of(const struct bw_signer* signer, const struct bw_key* key) {
  const __u32 words = (key->length + 7) / 8;
  int i;
  if (signer->key_length != key->length) return 0;
  for (__u32 word = 0; word < BW_ALGORITHM_SIZE / 8; word++)
    if (signer->algorithm[word] != key->algorithm[word]) return 0;
  bw_for(i, words) {
    const __u32 word = (__u32)i;
    if (word >= BW_KEY_WORDS || signer->key[word] != key->bytes[word]) return 0;
  }
  return 1;
}

// The slot of that key, of that kind, in that system keyring; BW_SIGNER_UNKNOWN if there is none.
BW_SUBPROGRAM __u32 bw_slot_of_key(const struct bw_image* image, const struct bw_key* key,
                                   __u32 kind, __u32 keyring) {
  int i;
  if (!key->length) return BW_SIGNER_UNKNOWN;
  bw_for(i, image->signer_count) {
    const __u32 slot = (__u32)i;
    if (slot < BW_SIGNER_FIRST_KEY) continue;
    if (slot >= BW_MAX_SIGNERS) break;
    const struct bw_signer* signer = &image->signers[slot];
    if (signer->kind == kind && signer->keyring == keyring && bw_is_key_of(signer, key))
      return slot;
  }
  return BW_SIGNER_UNKNOWN;
}

BW_INLINE int bw_is_in_chain(const struct bw_signed_by* by, __u64 hash) {
  for (__u32 i = 0; i < BW_MAX_CHAIN; i++)
    if (i < by->chain_length && by->chain[i] == hash) return 1;
  return 0;
}

// A revoked key vouches for nobody, wherever it stands between the trusted key and who signed, and
// even in a keyring that is trusted as a whole.
BW_SUBPROGRAM int bw_is_revoked(const struct bw_image* image, const struct bw_signed_by* by) {
  const __u64 verified = bw_hash_of_key(&by->verified);
  int i;
  bw_for(i, image->signer_count) {
    const __u32 slot = (__u32)i;
    if (slot < BW_SIGNER_FIRST_KEY) continue;
    if (slot >= BW_MAX_SIGNERS) break;
    const struct bw_signer* signer = &image->signers[slot];
    if (signer->kind != BW_SIGNER_REVOKED) continue;
    if (signer->key_hash == verified || bw_is_in_chain(by, signer->key_hash)) return 1;
  }
  return 0;
}

// By the keys that a load has shown. `keyring`: the slot of the system keyring that it named for
// its verification; 0: another one.
BW_INLINE __u32 bw_find_signer(const struct bw_image* image, const struct bw_signed_by* by,
                               __u32 keyring) {
  if (by->evidence < BW_EVIDENCE_SOLE_SIGNER || bw_is_revoked(image, by)) return BW_SIGNER_UNKNOWN;
  const int issued = by->evidence == BW_EVIDENCE_ISSUER;
  const __u32 slot =
      bw_slot_of_key(image, &by->verified, issued ? BW_SIGNER_ISSUER : BW_SIGNER_KEY, keyring);
  if (slot != BW_SIGNER_UNKNOWN) return slot;
  return issued && !by->may_issue ? (__u32)BW_SIGNER_UNKNOWN : keyring;
}

// Both aligned to a word.
BW_INLINE int bw_same_digest(const void* one, const void* other) {
  const __u64* left = (const __u64*)one;
  const __u64* right = (const __u64*)other;
  return left[0] == right[0] && left[1] == right[1] && left[2] == right[2] && left[3] == right[3];
}

// By bw_signer.key_digest, which outlives the image that a slot belongs to. One that was trusted
// through its issuer or as part of a whole keyring is not found: it may have been revoked since.
__attribute__((unused)) BW_SUBPROGRAM __u32 bw_signer_by_digest(const struct bw_image* image,
                                                                const __u64* key) {
  __u32 found = BW_SIGNER_UNKNOWN;
  int i;
  if (!key || !(key[0] | key[1] | key[2] | key[3])) return BW_SIGNER_UNKNOWN;
  bw_for(i, image->signer_count) {
    const __u32 slot = (__u32)i;
    if (slot < BW_SIGNER_FIRST_KEY) continue;
    if (slot >= BW_MAX_SIGNERS) break;
    const struct bw_signer* signer = &image->signers[slot];
    if (!bw_same_digest(signer->key_digest, key)) continue;
    if (signer->kind == BW_SIGNER_REVOKED) return BW_SIGNER_UNKNOWN;
    if (signer->kind == BW_SIGNER_KEY && !signer->keyring) found = slot;
  }
  return found;
}

#ifndef __bpf__
// What a slot is worth where only the policy's name for it is left: the slot itself, unless its key
// is revoked.
BW_INLINE __u32 bw_unless_revoked(const struct bw_image* image, __u32 slot) {
  for (__u32 i = BW_SIGNER_FIRST_KEY; i < image->signer_count && slot >= BW_SIGNER_FIRST_KEY; i++)
    if (image->signers[i].kind == BW_SIGNER_REVOKED &&
        image->signers[i].key_hash == image->signers[slot].key_hash)
      return BW_SIGNER_UNKNOWN;
  return slot;
}

#pragma GCC diagnostic pop
#endif
