// How decisions are counted one by one: by rule, cause, mode and signature. Counts outlive the
// policy generations, so a rule is known by its name here: its number ends with its generation.
// Written by tally.bpf.h, read by loader/metrics/tallies.cpp.
#pragma once

#include "bpf-lsm/decide.h"

enum {
  BW_MAX_TALLIES = 8192,  // 1,024 rules with each signature in each mode, and some more
  BW_UNTALLIED = 2 * 2 * BW_SIGNATURES,
};

// The key of the map `tallies`, whose values are counts (__u64). Entries are never taken out.
// Whether a decision refused follows from `allow` and `mode`: see bw_refused().
struct bw_tally {
  char rule[BW_RULE_NAME_SIZE];  // NUL padded; empty unless cause is BW_CAUSE_RULE
  __u8 allow;                    // what an enforcing policy says
  __u8 mode;                     // enum bw_mode
  __u8 cause;                    // enum bw_cause
  __u8 signature;                // enum bw_signature
  __u32 reserved;
} __attribute__((aligned(8)));  // or clang copies the name by halves of words

// Where the map `untallied` counts what found no room in `tallies`. Bit 0 of a slot is `allow`, bit
// 1 `mode`, and what is above is `signature`.
BW_INLINE __u32 bw_untallied_slot(__u32 allow, __u32 mode, __u32 signature) {
  return (signature * 2 + mode) * 2 + allow;
}

BW_STATIC_ASSERT(sizeof(struct bw_tally) == BW_RULE_NAME_SIZE + 8, "bw_tally has no padding");
BW_STATIC_ASSERT(BW_CAUSES <= 256 && BW_SIGNATURES <= 256, "bw_tally's bytes");
