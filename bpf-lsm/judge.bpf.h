// bw_decide() as the hooks call it.
#pragma once

#include "bpf-lsm/maps.bpf.h"

// A verdict as a global function returns it, which returns numbers alone.
static __always_inline __u64 word_of(const struct bw_decision* decision) {
  __u64 word;
  __builtin_memcpy(&word, decision, sizeof(word));
  return word;
}

static __always_inline struct bw_decision decision_of(__u64 word) {
  struct bw_decision decision;
  __builtin_memcpy(&decision, &word, sizeof(decision));
  return decision;
}

// A global function: the verifier walks through it once, instead of once for each path of each hook
// that leads here. It cannot be handed a read-only map value, so it looks the image up by itself.
__noinline __u64 judge_by(__u64 generation, struct bw_facts* facts) {
  const struct bw_image* image = image_of(generation);
  struct bw_decision verdict = {
      .mode = BW_MODE_ENFORCE, .cause = BW_CAUSE_MISSING_FACT, .rule = BW_NO_RULE};
  if (image && facts) verdict = bw_decide(image, facts);  // else it is gone meanwhile
  // A signed policy may have been written into the slot meanwhile.
  if (image && *(volatile const __u64*)&image->generation != generation)
    verdict = (struct bw_decision){
        .mode = BW_MODE_ENFORCE, .cause = BW_CAUSE_MISSING_FACT, .rule = BW_NO_RULE};
  return word_of(&verdict);
}

// `facts` keeps what was found on the way; the verdict is what is returned.
static __always_inline struct bw_decision judge(const struct bw_image* image,
                                                struct bw_facts* facts) {
  return decision_of(judge_by(image->generation, facts));
}
