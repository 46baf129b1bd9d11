// Denials that are told in sums: more than BW_DENIALS_A_SECOND of them, and those that find no room
// in their ring buffer. Written by denials.bpf.h, read by loader/events/denial_summaries.cpp.
#pragma once

#include "bpf-lsm/abi/event.h"

enum {
  BW_DENIALS_A_SECOND = 1000,  // that leave an event each
  BW_MAX_SUMMARIES = 4096,
};

// The key of the map `summaries`: what was denied to whom, and why. Of those that find no room
// there, the array `summed_rest` has two counts for each enum bw_cause: of what was let through, in
// element 2 * cause, and of what was refused, in the next.
struct bw_summary_key {
  __u64 generation;
  char program_name[BW_PROG_NAME_SIZE];
  __u32 prog_type;
  __u32 attach_type;
  __u32 tgid;
  __u32 uid;
  __u16 rule;
  __u8 cause;
  __u8 hook;
  __u8 route;
  __u8 mode;
  __u16 reserved;
};

// Counts only grow, so that a reader can say what has been added since the last time; it keeps what
// it has told in the map `summaries_told`.
struct bw_summary {
  __u64 count;
  __u64 last_ns;          // CLOCK_BOOTTIME
  struct bw_event first;  // `abi` is written last: until then it is not whole
};

BW_STATIC_ASSERT(sizeof(struct bw_summary_key) == 48, "bw_summary_key has no padding");
BW_STATIC_ASSERT(sizeof(struct bw_summary) == 16 + sizeof(struct bw_event), "bw_summary");
