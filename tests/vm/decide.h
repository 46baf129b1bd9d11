// What decide.bpf.c and its test agree on.
#pragma once

enum { BW_MAX_BATCH = 64 };

struct bw_batch {
  __u32 count;    // how many of the facts are to be decided
  __u32 decided;  // by the program: how many it did
};
