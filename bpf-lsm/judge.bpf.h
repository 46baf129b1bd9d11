// bw_decide() as the hooks call it.
#pragma once

#include "bpf-lsm/maps.bpf.h"

// A global function: the verifier walks through it once, instead of once for each path of each hook
// that leads here. It cannot be handed a read-only map value, so it looks the image up by itself.
__noinline int judge_by(__u64 generation, struct bw_facts* facts, struct bw_decision* decision) {
  const struct bw_image* image = image_of(generation);
  if (!image || !facts || !decision) return -1;
  bw_decide(image, facts, decision);
  return 0;
}

static __always_inline void judge(const struct bw_image* image, struct bw_facts* facts,
                                  struct bw_decision* decision) {
  if (!judge_by(image->generation, facts, decision)) return;
  __builtin_memset(decision, 0, sizeof(*decision));  // the image is gone meanwhile
  decision->mode = BW_MODE_ENFORCE;
  decision->cause = BW_CAUSE_MISSING_FACT;
  decision->rule = BW_NO_RULE;
}
