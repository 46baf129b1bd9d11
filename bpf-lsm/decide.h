// decide(): the one place where a policy image and the facts of a load become an answer.
//
// Compiled by clang into warden.bpf.c and by g++ into the manager and the tests, so that what the
// tool says is what the kernel does. It only reads the image, allocates nothing, and fails closed:
// a fact that is missing, a class that the image does not know, a name too long: deny.
#pragma once

#include "bpf-lsm/abi/cause.h"
#include "bpf-lsm/abi/image.h"

#ifdef __bpf__
#define BW_INLINE static __always_inline
#define BW_SUBPROGRAM \
  static __noinline  // one copy in the object, one walk per call for the verifier
#define BW_OPAQUE(variable) barrier_var(variable)  // keeps clang from making it a branch
#define bw_for(i, end) bpf_for(i, 0, (int)(end))
#else
#define BW_INLINE static inline
#define BW_SUBPROGRAM static inline
#define BW_OPAQUE(variable)
#define bw_for(i, end) for (i = 0; i < (int)(end); i++)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wold-style-cast"
#endif

struct bw_facts {
  __u32 prog_type;    // enum bpf_prog_type
  __u32 attach_type;  // expected_attach_type
  __u32 signer;       // slot in bw_image.signers
  __u8 signature;     // enum bw_signature
  __u8 guard;         // a violated invariant, enum bw_cause, or 0
  __u8 name_length;   // of name, without NUL
  __u8 attach_class;  // set by bw_decide
  union {             // attach target at load, NUL padded; empty where there is none
    __u64 name[BW_NAME_WORDS];
    __u8 name_bytes[BW_NAME_SIZE];
  };
};

struct bw_decision {
  __u8 allow;  // what an enforcing policy says
  __u8 mode;   // enum bw_mode in force for this decision
  __u8 cause;  // enum bw_cause
  __u8 reserved;
  __u16 rule;  // BW_NO_RULE unless cause is BW_CAUSE_RULE
  __u16 attach_class;
};

// What the caller gets: audit mode never refuses.
BW_INLINE int bw_refused(const struct bw_decision* decision) {
  return !decision->allow && decision->mode == BW_MODE_ENFORCE;
}

#define BW_FNV_PRIME 0x100000001b3ULL

BW_INLINE __u64 bw_hash_start(__u64 seed, __u32 attach_class) {
  return (seed ^ attach_class) * BW_FNV_PRIME;
}

BW_INLINE __u64 bw_hash_byte(__u64 hash, __u8 byte) { return (hash ^ byte) * BW_FNV_PRIME; }

// Prefixes and exact names of the same bytes live in different slots. Never 0.
BW_INLINE __u64 bw_hash_finish(__u64 hash, __u32 is_prefix) {
  hash = (hash ^ (is_prefix + 1)) * BW_FNV_PRIME;
  hash ^= hash >> 32;
  return hash | 1;
}

BW_INLINE int bw_name_equal(const struct bw_pattern* pattern, const struct bw_facts* facts,
                            __u32 length) {
  for (__u32 i = 0; i < BW_NAME_WORDS; i++) {
    __u64 mask = ~0ULL;
    if (length <= i * 8) return 1;
    if (length < i * 8 + 8) mask = (1ULL << (8 * (length - i * 8))) - 1;
    if ((pattern->name[i] ^ facts->name[i]) & mask) return 0;
  }
  return 1;
}

// The pattern that is the first `length` bytes of the name. The compiler of the image sees to it
// that no two patterns share a hash, so one comparison of names settles it.
BW_SUBPROGRAM const struct bw_pattern* bw_probe(const struct bw_image* image,
                                                const struct bw_facts* facts, __u64 hash,
                                                __u32 is_prefix, __u32 length) {
  hash = bw_hash_finish(hash, is_prefix);
  for (__u32 i = 0; i < BW_MAX_PROBES; i++) {
    const struct bw_pattern* pattern = &image->patterns[(hash + i) & (BW_PATTERN_SLOTS - 1)];
    if (pattern->hash == 0) return 0;
    if (pattern->hash != hash) continue;
    if (pattern->attach_class != facts->attach_class) return 0;
    if (pattern->is_prefix != is_prefix || pattern->length != length) return 0;
    return bw_name_equal(pattern, facts, length) ? pattern : 0;
  }
  return 0;
}

// The exact name, else the longest prefix (the empty one included), else none.
BW_INLINE const struct bw_pattern* bw_find(const struct bw_image* image,
                                           const struct bw_facts* facts) {
  const struct bw_pattern *longest = 0, *found;
  __u64 hash = bw_hash_start(image->hash_seed, facts->attach_class);
  __u32 length = facts->name_length;
  int i;
  if (length >= BW_NAME_SIZE) return 0;
  bw_for(i, length) {
    found = bw_probe(image, facts, hash, 1, (__u32)i);
    if (found) longest = found;
    hash = bw_hash_byte(hash, facts->name_bytes[(__u32)i & (BW_NAME_SIZE - 1)]);
  }
  found = bw_probe(image, facts, hash, 0, length);
  if (found) return found;
  found = bw_probe(image, facts, hash, 1, length);
  return found ? found : longest;
}

BW_INLINE __u32 bw_class_of(const struct bw_image* image, __u32 prog_type, __u32 attach_type) {
  if (prog_type >= BW_PROG_TYPES || attach_type >= BW_ATTACH_TYPES) return BW_CLASS_UNKNOWN;
  return image->class_of[prog_type][attach_type];
}

// bit = bw_bit_of[((1 << bit) * BW_DE_BRUIJN) >> 58]: BPF has no instruction that finds the lowest
// bit.
#define BW_DE_BRUIJN 0x03f79d71b4cb0a89ULL
static const __u8 bw_bit_of[64] = {0,  1,  48, 2,  57, 49, 28, 3,  61, 58, 50, 42, 38, 29, 17, 4,
                                   62, 55, 59, 36, 53, 51, 43, 22, 45, 39, 33, 30, 24, 18, 12, 5,
                                   63, 47, 56, 27, 60, 41, 37, 16, 54, 35, 52, 21, 44, 32, 23, 11,
                                   46, 26, 40, 15, 34, 20, 31, 10, 25, 14, 19, 9,  13, 8,  7,  6};

// The first rules, by kind, that speak about a load.
struct bw_first {
  __u32 sure;       // matches for certain
  __u32 may_allow;  // allows, and may match
  __u32 own_mode;   // names the attach point and has a mode of its own
};

BW_INLINE void bw_keep_first(__u32* first, __u32 word_index, __u64 word) {
  if (word && *first == BW_NO_RULE)
    *first = word_index * 64 + bw_bit_of[((word & (0 - word)) * BW_DE_BRUIJN) >> 58];
}

BW_SUBPROGRAM void bw_match(const struct bw_image* image, const struct bw_facts* facts,
                            const struct bw_pattern* pattern, struct bw_first* first) {
  __u32 covered = facts->signature;
  BW_OPAQUE(covered);
  if (covered >= BW_SIGNATURES) covered = BW_SIGNATURE_UNSIGNED;
  const struct bw_vector* signature = &image->signature[covered];
  const struct bw_vector* signer = &image->signer[facts->signer & (BW_MAX_SIGNERS - 1)];
  const struct bw_vector* sure =
      &image->vectors[pattern ? pattern->sure & (BW_MAX_VECTORS - 1) : 0];
  const struct bw_vector* may = &image->vectors[pattern ? pattern->may & (BW_MAX_VECTORS - 1) : 0];
  const __u32 flags = image->classes[facts->attach_class & (BW_CLASSES - 1)].flags;
  const int is_loader = (flags & BW_CLASS_LOADER) && facts->signature != BW_SIGNATURE_UNSIGNED &&
                        facts->signer != BW_SIGNER_UNKNOWN;
  const __u64 loader_mask = is_loader ? ~0ULL : 0;
  int n;
  bw_for(n, BW_VECTOR_WORDS) {
    const __u32 i = (__u32)n & (BW_VECTOR_WORDS - 1);
    const __u64 who = signature->words[i] & signer->words[i];
    // A signed loader may load whatever its key may: each child is decided again, by its own facts.
    const __u64 children = image->keyed.words[i] & loader_mask;
    bw_keep_first(&first->sure, i, sure->words[i] & who);
    bw_keep_first(&first->may_allow, i, (may->words[i] | children) & who & image->allow.words[i]);
    bw_keep_first(&first->own_mode, i,
                  may->words[i] & (image->audit.words[i] | image->enforce.words[i]));
  }
}

BW_INLINE int bw_test_bit(const struct bw_vector* vector, __u32 bit) {
  return (vector->words[(bit / 64) & (BW_VECTOR_WORDS - 1)] >> (bit % 64)) & 1;
}

BW_INLINE __u8 bw_mode_of(const struct bw_image* image, __u32 rule) {
  if (rule != BW_NO_RULE && bw_test_bit(&image->enforce, rule)) return BW_MODE_ENFORCE;
  if (rule != BW_NO_RULE && bw_test_bit(&image->audit, rule)) return BW_MODE_AUDIT;
  return image->mode == BW_MODE_AUDIT ? BW_MODE_AUDIT : BW_MODE_ENFORCE;
}

// First match wins. What is known only at attach may still match: such an allow rule admits the
// load if it stands before the first rule that matches for certain. Where no rule matches, the mode
// is that of the first rule which names the attach point and has a mode of its own
// (docs/adr/0003): a rule past its trial is enforced for everyone who tries its attach points.
BW_INLINE void bw_decide(const struct bw_image* image, struct bw_facts* facts,
                         struct bw_decision* decision) {
  struct bw_first first = {BW_NO_RULE, BW_NO_RULE, BW_NO_RULE};
  facts->attach_class = (__u8)bw_class_of(image, facts->prog_type, facts->attach_type);
  decision->allow = 0;
  decision->reserved = 0;
  decision->rule = BW_NO_RULE;
  decision->attach_class = facts->attach_class;
  decision->mode = bw_mode_of(image, BW_NO_RULE);
  decision->cause = facts->guard;
  if (facts->guard != BW_CAUSE_RULE) return;
  decision->cause = BW_CAUSE_UNKNOWN_ATTACH;
  if (facts->attach_class == BW_CLASS_UNKNOWN) return;

  bw_match(image, facts, bw_find(image, facts), &first);
  if (first.may_allow != BW_NO_RULE && first.may_allow <= first.sure) first.sure = first.may_allow;
  if (first.sure == BW_NO_RULE) {
    decision->cause = BW_CAUSE_DEFAULT;
    decision->allow = image->default_allow == 1;
    decision->mode = bw_mode_of(image, first.own_mode);
    return;
  }
  decision->cause = BW_CAUSE_RULE;
  decision->rule = (__u16)first.sure;
  decision->allow = (__u8)bw_test_bit(&image->allow, first.sure);
  decision->mode = bw_mode_of(image, first.sure);
}

#ifndef __bpf__
#pragma GCC diagnostic pop
#endif
