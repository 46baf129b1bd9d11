// decide(): the one place where a policy image and the facts of a load become an answer.
//
// Compiled by clang into warden.bpf.c and by g++ into the manager and the tests, so that what the
// tool says is what the kernel does. It only reads the image, allocates nothing, and fails closed:
// a fact that is missing, a class that the image does not know, a name too long: deny.
#pragma once

#include "bpf-lsm/abi/cause.h"
#include "bpf-lsm/abi/harden.h"
#include "bpf-lsm/abi/image.h"
#include "bpf-lsm/find_name.h"

#ifndef __bpf__
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wold-style-cast"
#endif

enum bw_stage {
  BW_STAGE_LOAD = 0,    // the target of an attachment may not be known yet
  BW_STAGE_ATTACH = 1,  // all is known
};

struct bw_facts {
  __u32 prog_type;    // enum bpf_prog_type
  __u32 attach_type;  // expected_attach_type
  __u32 signer;       // slot in bw_image.signers
  __u8 signature;     // enum bw_signature
  __u8 guard;         // a violated invariant, enum bw_cause, or 0
  __u8 origin;        // enum bw_origin
  __u8 stage;         // enum bw_stage
  __u8 traits[BW_TRAITS];
  __u8 family;       // at attach: which of the families of its class
  __u16 load_class;  // set by bw_decide
  __u16 reserved;
  __s64 time;  // Unix seconds
  struct bw_name names[BW_NAMES];
  struct bw_match_sets found[BW_NAMES];  // set by bw_decide
};

struct bw_decision {
  __u8 allow;  // what an enforcing policy says
  __u8 mode;   // enum bw_mode in force for this decision
  __u8 cause;  // enum bw_cause
  __u8 reserved;
  __u16 rule;  // BW_NO_RULE unless cause is BW_CAUSE_RULE
  __u16 load_class;
};

// What the caller gets: audit mode never refuses.
BW_INLINE int bw_refused(const struct bw_decision* decision) {
  return !decision->allow && decision->mode == BW_MODE_ENFORCE;
}

// Where the names of a dimension are looked up; BW_CLASS_UNKNOWN: nowhere.
BW_INLINE __u32 bw_name_class(const struct bw_image* image, const struct bw_facts* facts,
                              __u32 dimension) {
  const __u32 family = facts->family & (BW_MAX_FAMILIES - 1);
  const __u32 load_class = facts->load_class & (BW_LOAD_CLASSES - 1);
  if (dimension >= BW_NAME_EXE) return BW_CLASS_SUBJECT + dimension;
  if (dimension == BW_NAME_PLACE && facts->stage == BW_STAGE_LOAD) return BW_CLASS_UNKNOWN;
  if (dimension == BW_NAME_PLACE) return BW_CLASS_PLACE + family;
  if (facts->stage == BW_STAGE_LOAD || (image->classes[load_class].flags & BW_CLASS_NAMED))
    return load_class;
  return BW_CLASS_ATTACH + family;
}

BW_INLINE int bw_is_about_subject(__u32 dimension) {
  return dimension == BW_NAME_EXE || dimension == BW_NAME_CGROUP || dimension == BW_NAME_UID;
}

// What the rules say about one name. At load, a place is no condition yet: what falls there is in
// the `may` of the target.
BW_INLINE struct bw_match_sets bw_look_up(const struct bw_image* image,
                                          const struct bw_facts* facts, __u32 dimension) {
  struct bw_match_sets sets = {BW_VECTOR_ALL, BW_VECTOR_ALL};
  const __u32 name_class = bw_name_class(image, facts, dimension);
  const struct bw_name* name = &facts->names[dimension];
  const struct bw_class_info* info = &image->classes[name_class & (BW_CLASSES - 1)];
  const struct bw_pattern* pattern;
  if (name_class == BW_CLASS_UNKNOWN) return sets;
  pattern = name->known ? bw_find(image, name_class, name) : 0;
  sets = pattern ? pattern->rules : name->known ? info->other : info->unknown;
  if (facts->stage == BW_STAGE_LOAD) return sets;
  // Nothing more will be known. What was open about a target was its place, which is judged now;
  // who could not be identified meets the conditions of load-only rules, too, for here they refuse.
  if (!name->known && !bw_is_about_subject(dimension))
    sets.may = sets.sure;
  else
    sets.sure = sets.may;
  return sets;
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
  __u32 child;      // allows not the signed loader that runs, but what its key may load
};

BW_INLINE const struct bw_vector* bw_sure(const struct bw_image* image,
                                          const struct bw_facts* facts, __u32 dimension) {
  return &image->vectors[facts->found[dimension].sure & (BW_MAX_VECTORS - 1)];
}

BW_INLINE const struct bw_vector* bw_may(const struct bw_image* image, const struct bw_facts* facts,
                                         __u32 dimension) {
  return &image->vectors[facts->found[dimension].may & (BW_MAX_VECTORS - 1)];
}

BW_INLINE const struct bw_vector* bw_trait_rules(const struct bw_image* image,
                                                 const struct bw_facts* facts, __u32 trait) {
  return &image->trait[trait][facts->traits[trait] & 1];
}

// The rules that dates leave in force.
BW_SUBPROGRAM const struct bw_vector* bw_in_force(const struct bw_image* image, __s64 time) {
  __u32 last = 0;
  int i;
  if (image->period_count <= 1) return &image->periods[0].rules;  // no rule has a date
  bw_for(i, image->period_count) {
    const __u32 n = (__u32)i & (BW_MAX_TIMES - 1);
    if (image->periods[n].from > time) break;
    last = n;
  }
  return &image->periods[last].rules;
}

BW_INLINE void bw_keep_first(__u32* first, __u32 word_index, __u64 word) {
  if (word && *first == BW_NO_RULE)
    *first = word_index * 64 + bw_bit_of[((word & (0 - word)) * BW_DE_BRUIJN) >> 58];
}

// Of each vector, how many words have a rule's bit.
BW_INLINE __u32 bw_rule_words(const struct bw_image* image) {
  const __u32 words = (image->rule_count + 63) / 64;
  if (words > BW_VECTOR_WORDS) return BW_VECTOR_WORDS;
  return words;
}

BW_SUBPROGRAM void bw_match(const struct bw_image* image, const struct bw_facts* facts,
                            struct bw_first* first) {
  __u32 covered = facts->signature, origin = facts->origin;
  BW_OPAQUE(covered);
  BW_OPAQUE(origin);
  if (covered >= BW_SIGNATURES) covered = BW_SIGNATURE_UNSIGNED;
  if (origin >= BW_ORIGINS) origin = BW_ORIGIN_KERNEL;
  const struct bw_vector* signature = &image->signature[covered];
  const struct bw_vector* signer = &image->signer[facts->signer & (BW_MAX_SIGNERS - 1)];
  const struct bw_vector* from = &image->origin[origin];
  const struct bw_vector* in_force = bw_in_force(image, facts->time);
  const __u32 flags = image->classes[facts->load_class & (BW_LOAD_CLASSES - 1)].flags;
  const int is_loader = (flags & BW_CLASS_LOADER) && facts->signature != BW_SIGNATURE_UNSIGNED &&
                        facts->signer != BW_SIGNER_UNKNOWN;
  const __u64 loader_mask = is_loader ? ~0ULL : 0;
  const struct bw_vector* named = bw_may(image, facts, BW_NAME_TARGET);
  const struct bw_vector* placed = bw_may(image, facts, BW_NAME_PLACE);
  int n;
  bw_for(n, bw_rule_words(image)) {
    const __u32 i = (__u32)n & (BW_VECTOR_WORDS - 1);
    const __u64 target = named->words[i] & placed->words[i];
    if (!((target | loader_mask) & in_force->words[i])) continue;  // none has a say
    const __u64 who = signature->words[i] & signer->words[i] & in_force->words[i] &
                      bw_sure(image, facts, BW_NAME_EXE)->words[i] &
                      bw_sure(image, facts, BW_NAME_CGROUP)->words[i] &
                      bw_sure(image, facts, BW_NAME_UID)->words[i];
    const __u64 what = who & from->words[i] &
                       bw_trait_rules(image, facts, BW_TRAIT_SLEEPABLE)->words[i] &
                       bw_trait_rules(image, facts, BW_TRAIT_DELEGATED)->words[i] &
                       bw_trait_rules(image, facts, BW_TRAIT_GPL_COMPATIBLE)->words[i];
    const __u64 sure = what & bw_sure(image, facts, BW_NAME_TARGET)->words[i] &
                       bw_sure(image, facts, BW_NAME_PLACE)->words[i] &
                       bw_sure(image, facts, BW_NAME_DIGEST)->words[i];
    const __u64 may = what & target & bw_may(image, facts, BW_NAME_DIGEST)->words[i];
    // A signed loader may load whatever its key may: each child is decided again, by its own facts.
    const __u64 children =
        who & loader_mask & image->keyed.words[i] & image->origin[BW_ORIGIN_LOADER].words[i];
    bw_keep_first(&first->sure, i, sure);
    bw_keep_first(&first->may_allow, i, (may | children) & image->allow.words[i]);
    bw_keep_first(&first->child, i, children & ~may & image->allow.words[i]);
    bw_keep_first(&first->own_mode, i,
                  target & in_force->words[i] & (image->audit.words[i] | image->enforce.words[i]));
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

// Whether anything is ever refused: by the policy, or by a rule with a mode of its own.
BW_INLINE int bw_enforces(const struct bw_image* image) {
  __u64 rules = 0;
  for (__u32 i = 0; i < BW_VECTOR_WORDS; i++) rules |= image->enforce.words[i];
  return image->mode != BW_MODE_AUDIT || rules != 0;
}

// Likewise by what is in force at that time.
BW_SUBPROGRAM int bw_enforces_at(const struct bw_image* image, __s64 time) {
  const struct bw_vector* in_force = bw_in_force(image, time);
  __u64 rules = 0;
  int n;
  bw_for(n, bw_rule_words(image)) {
    const __u32 i = (__u32)n & (BW_VECTOR_WORDS - 1);
    rules |= image->enforce.words[i] & in_force->words[i];
  }
  return image->mode != BW_MODE_AUDIT || rules != 0;
}

// Whether [harden] closes it: by itself, or as one of lockdown's integrity.
BW_INLINE int bw_is_hardened(const struct bw_image* image, __u32 what, int is_integrity) {
  const __u64 asked = 1ULL << (what & 63) | (is_integrity ? 1ULL << BW_HARDENING_INTEGRITY : 0);
  return (image->harden & asked) != 0;
}

// Whether callers that share their file descriptors may attach what was decided so, to be watched.
BW_INLINE int bw_detects(const struct bw_image* image, const struct bw_decision* decision) {
  if (decision->rule == BW_NO_RULE) return (image->flags & BW_IMAGE_DETECT) != 0;
  return bw_test_bit(&image->detect, decision->rule);
}

BW_INLINE int bw_is_denied_digest(const struct bw_image* image, const struct bw_facts* facts) {
  const struct bw_name* digest = &facts->names[BW_NAME_DIGEST];
  return digest->known && bw_find(image, BW_CLASS_DENIED_DIGEST, digest) != 0;
}

// What is denied before any rule is looked at; 0 if nothing is.
BW_INLINE __u32 bw_fixed_cause(const struct bw_image* image, const struct bw_facts* facts) {
  if (facts->guard != BW_CAUSE_RULE) return facts->guard;
  if (facts->load_class == BW_CLASS_UNKNOWN) return BW_CAUSE_UNKNOWN_ATTACH;
  return bw_is_denied_digest(image, facts) ? BW_CAUSE_DENIED_DIGEST : 0;
}

// At load, load-only is as good as allow; nothing admits it to an attachment.
BW_INLINE int bw_admits(const struct bw_image* image, const struct bw_facts* facts, __u32 rule) {
  if (!bw_test_bit(&image->allow, rule)) return 0;
  return facts->stage == BW_STAGE_LOAD || !bw_test_bit(&image->load_only, rule);
}

// A denial that no rule makes. It is enforced as soon as anything is: by the policy's mode alone,
// it would be the way past every rule that is past its trial.
BW_INLINE struct bw_decision bw_denial(const struct bw_image* image, __s64 time, __u32 cause) {
  struct bw_decision decision = {};
  decision.rule = BW_NO_RULE;
  decision.cause = (__u8)cause;
  decision.mode = bw_enforces_at(image, time) ? BW_MODE_ENFORCE : BW_MODE_AUDIT;
  return decision;
}

// First match wins. What is known only at attach may still match: such an allow rule admits the
// load if it stands before the first rule that matches for certain. Where no rule matches, the mode
// is that of the first rule in force which names the attach point and has a mode of its own
// (docs/adr/0003): a rule past its trial is enforced for everyone who tries its attach points.
BW_INLINE struct bw_decision bw_decide(const struct bw_image* image, struct bw_facts* facts) {
  struct bw_decision decision = {};
  struct bw_first first = {BW_NO_RULE, BW_NO_RULE, BW_NO_RULE, BW_NO_RULE};
  facts->load_class = (__u16)bw_class_of(image, facts->prog_type, facts->attach_type);
  const __u32 fixed = bw_fixed_cause(image, facts);
  if (fixed != BW_CAUSE_RULE) {
    decision = bw_denial(image, facts->time, fixed);
    decision.load_class = facts->load_class;
    return decision;
  }

  for (__u32 dimension = 0; dimension < BW_NAMES; dimension++)
    facts->found[dimension] = bw_look_up(image, facts, dimension);
  bw_match(image, facts, &first);
  decision.load_class = facts->load_class;
  decision.rule = BW_NO_RULE;
  decision.cause = BW_CAUSE_RULE;
  if (first.may_allow != BW_NO_RULE && first.may_allow <= first.sure) first.sure = first.may_allow;
  if (first.sure == BW_NO_RULE) {
    decision.cause = BW_CAUSE_DEFAULT;
    decision.allow = image->default_allow == 1;
    decision.mode = bw_mode_of(image, first.own_mode);
    return decision;
  }
  decision.rule = (__u16)first.sure;
  // That a signed loader runs is part of the load of its children.
  decision.allow = (__u8)(first.sure == first.child || bw_admits(image, facts, first.sure));
  decision.mode = bw_mode_of(image, first.sure);
  return decision;
}

#ifndef __bpf__
#pragma GCC diagnostic pop
#endif
