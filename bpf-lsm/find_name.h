// How a name finds the pattern of the image that speaks about it: the exact one, else the longest
// prefix. Compiled as decide.h is, and included by it.
#pragma once

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

// A name, or the reason why there is none: not known.
struct bw_name {
  union {  // NUL padded
    __u64 words[BW_NAME_WORDS];
    __u8 bytes[BW_NAME_SIZE];
  };
  __u8 length;  // without NUL
  __u8 known;
  __u8 reserved[6];
};

#define BW_FNV_PRIME 0x100000001b3ULL

// So are the words of keys hashed, for a revoked one to be found again in a chain. Equal keys have
// equal hashes; another key that has the same is refused like it.
BW_INLINE __u64 bw_hash_key_word(__u64 hash, __u64 word) {
  hash = (hash ^ word) * BW_FNV_PRIME;
  return hash ^ (hash >> 29);
}

BW_INLINE __u64 bw_hash_start(__u64 seed, __u32 name_class) {
  return (seed ^ name_class) * BW_FNV_PRIME;
}

BW_INLINE __u64 bw_hash_byte(__u64 hash, __u8 byte) { return (hash ^ byte) * BW_FNV_PRIME; }

// Prefixes and exact names of the same bytes live in different slots. Never 0.
BW_INLINE __u64 bw_hash_finish(__u64 hash, __u32 is_prefix) {
  hash = (hash ^ (is_prefix + 1)) * BW_FNV_PRIME;
  hash ^= hash >> 32;
  return hash | 1;
}

// Of the word that a name of this length ends in: the bytes that are the name's.
BW_INLINE __u64 bw_rest_mask(__u32 length) { return ~(~0ULL << (8 * (length % 8))); }

// Of a whole name: by words, an eighth of the steps. Prefixes may end at any byte. In the kernel a
// loop that ends at once is not free, and most names of devices are shorter than a word.
BW_INLINE __u64 bw_hash_words(__u64 hash, const __u64* words, __u32 length) {
  BW_OPAQUE(length);  // clang knows that it is short, and would leave out what shows the verifier
  const __u32 last = (length / 8) & (BW_NAME_WORDS - 1);
  int i;
  if (length >= 8) {
    bw_for(i, length / 8) hash = bw_hash_key_word(hash, words[(__u32)i & (BW_NAME_WORDS - 1)]);
  }
  return bw_hash_key_word(hash, words[last] & bw_rest_mask(length));
}

// Whole words, then what is left of one: no branch depends on a word's number, so that the verifier
// walks through the loop once and not once for each word.
BW_INLINE int bw_begins_with(const struct bw_name* name, const struct bw_pattern* pattern,
                             __u32 length) {
  const __u32 last = (length / 8) & (BW_NAME_WORDS - 1);
  int i;
  if (length >= 8) {
    bw_for(i, length / 8) {
      const __u32 n = (__u32)i & (BW_NAME_WORDS - 1);
      if (pattern->name[n] != name->words[n]) return 0;
    }
  }
  return ((pattern->name[last] ^ name->words[last]) & bw_rest_mask(length)) == 0;
}

// What is looked for: the first `length` bytes of a name, as a prefix or as the whole.
struct bw_probe {
  __u64 hash;
  __u32 name_class;
  __u32 is_prefix;
  __u32 length;
};

// The compiler of the image sees to it that no two patterns share a hash, so one comparison of
// names settles it.
BW_SUBPROGRAM const struct bw_pattern* bw_find_one(const struct bw_image* image,
                                                   const struct bw_name* name,
                                                   const struct bw_probe* probe) {
  const __u64 hash = bw_hash_finish(probe->hash, probe->is_prefix);
  int i;
  bw_for(i, BW_MAX_PROBES) {
    const __u32 slot = (__u32)(hash + (__u32)i) & (BW_PATTERN_SLOTS - 1);
    const struct bw_pattern* pattern = &image->patterns[slot];
    if (pattern->hash == 0) return 0;
    if (pattern->hash != hash) continue;
    if (pattern->name_class != probe->name_class) return 0;
    if (pattern->is_prefix != probe->is_prefix || pattern->length != probe->length) return 0;
    return bw_begins_with(name, pattern, probe->length) ? pattern : 0;
  }
  return 0;
}

BW_INLINE int bw_has_prefix_of(const struct bw_class_info* info, __u32 length) {
  return (info->prefix_lengths[(length / 64) & 1] >> (length % 64)) & 1;
}

BW_INLINE int bw_has_prefixes(const struct bw_class_info* info) {
  return (info->prefix_lengths[0] | info->prefix_lengths[1]) != 0;
}

BW_SUBPROGRAM const struct bw_pattern* bw_search(const struct bw_image* image, __u32 name_class,
                                                 const struct bw_name* name) {
  const struct bw_class_info* info = &image->classes[name_class & (BW_CLASSES - 1)];
  const struct bw_pattern *longest = 0, *found;
  const __u64 start = bw_hash_start(image->hash_seed, name_class);
  struct bw_probe probe = {start, name_class, 1, 0};
  const __u32 length = name->length;
  int i;
  if (length >= BW_NAME_SIZE) return 0;
  if (bw_has_prefixes(info)) {
    bw_for(i, length) {
      probe.hash = bw_hash_byte(probe.hash, name->bytes[(__u32)i & (BW_NAME_SIZE - 1)]);
      probe.length = (__u32)i + 1;
      if (!bw_has_prefix_of(info, probe.length)) continue;
      found = bw_find_one(image, name, &probe);
      if (found) longest = found;
    }
  }
  probe.hash = bw_hash_words(start, name->words, length);
  probe.is_prefix = 0;
  probe.length = length;
  found = bw_find_one(image, name, &probe);
  return found ? found : longest;
}

// The exact name, else the longest prefix, else none.
BW_INLINE const struct bw_pattern* bw_find(const struct bw_image* image, __u32 name_class,
                                           const struct bw_name* name) {
  const struct bw_class_info* info = &image->classes[name_class & (BW_CLASSES - 1)];
  return info->flags & BW_CLASS_PATTERNS ? bw_search(image, name_class, name) : 0;
}

#ifndef __bpf__
#pragma GCC diagnostic pop
#endif
