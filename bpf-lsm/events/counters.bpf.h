// How often something was decided, and what became of its event. Nothing here can change or delay a
// decision.
#pragma once

#include "bpf-lsm/maps.bpf.h"

static __always_inline void add_one(__u64* counter) { __sync_fetch_and_add(counter, 1); }

// A rule with `log = false` leaves no event of what it admits.
static __always_inline bool is_quiet(const struct bw_image* image,
                                     const struct bw_decision* decision) {
  return image && decision->allow && decision->rule < BW_MAX_RULES &&
         bw_test_bit(&image->quiet, decision->rule);
}

// Counts within windows of time: `word` holds the number of the latest window in its upper half,
// how many fell into it in its lower. Returns the number that fell into it before. Never waits: if
// another CPU begins the window first, its beginning serves as well.
static __always_inline __u32 count_in_window(__u64* word, __u32 window) {
  const __u64 seen = *(volatile __u64*)word;
  if ((__u32)(seen >> 32) < window) __sync_val_compare_and_swap(word, seen, (__u64)window << 32);
  return (__u32)__sync_fetch_and_add(word, 1);
}

// What was allowed leaves an event only as far as the policy wants it; a denial always does,
// refused or not.
static __always_inline bool is_withheld(const struct bw_image* image,
                                        const struct bw_decision* decision) {
  if (!image || !decision->allow || image->log_allowed == BW_LOG_ALL) return false;
  __u64* word = bpf_map_lookup_elem(&allowed_second, ARRAY_ZERO);
  if (!word || !image->log_allowed) return true;
  return count_in_window(word, bpf_ktime_get_boot_ns() / 1000000000) >= image->log_allowed;
}

// For what people ask about the last hour, with no process of ours to remember it.
static __always_inline void count_minute(const struct bw_decision* decision, bool observed) {
  const __u32 minute = bpf_ktime_get_boot_ns() / 60000000000ULL, slot = minute % BW_MINUTES;
  struct bw_minute* of = bpf_map_lookup_elem(&minutes, &slot);
  if (!of) return;
  if (observed)
    count_in_window(&of->observed, minute);
  else if (bw_refused(decision))
    count_in_window(&of->refused, minute);
  else
    count_in_window(&of->would_deny, minute);
}

// Atomic although per CPU: another task may interrupt this one in the middle of an addition.
static __always_inline void count(const struct bw_decision* decision, bool observed) {
  struct bw_counters* now = bpf_map_lookup_elem(&counters, ARRAY_ZERO);
  if (!now) return;
  add_one(observed ? &now->observed : &now->decided);
  if (!observed && bw_refused(decision)) add_one(&now->refused);
  if (!observed && !decision->allow && decision->mode == BW_MODE_AUDIT) add_one(&now->would_deny);
  if (observed || !decision->allow) count_minute(decision, observed);
}

static __always_inline void count_quiet(void) {
  struct bw_counters* now = bpf_map_lookup_elem(&counters, ARRAY_ZERO);
  if (now) add_one(&now->quiet);
}

static __always_inline void count_withheld(void) {
  struct bw_counters* now = bpf_map_lookup_elem(&counters, ARRAY_ZERO);
  if (now) add_one(&now->withheld);
}

static __always_inline void count_dropped(void) {
  struct bw_counters* now = bpf_map_lookup_elem(&counters, ARRAY_ZERO);
  if (now) add_one(&now->dropped);
}

static __always_inline void count_summed(void) {
  struct bw_counters* now = bpf_map_lookup_elem(&counters, ARRAY_ZERO);
  if (now) add_one(&now->summed);
}

// Begins anew with each staged generation.
static __always_inline void count_staged(__u64 generation, bool agrees) {
  struct bw_counters* now = bpf_map_lookup_elem(&counters, ARRAY_ZERO);
  if (!now) return;
  if (now->staged != generation) {
    now->agreed = now->differed = 0;
    now->staged = generation;
  }
  add_one(agrees ? &now->agreed : &now->differed);
}

static __always_inline __u64 next_sequence(void) {
  __u64* last = bpf_map_lookup_elem(&sequence, ARRAY_ZERO);
  return last ? __sync_fetch_and_add(last, 1) + 1 : 0;
}
