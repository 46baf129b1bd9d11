// What decide.bpf.c and its test agree on.
#pragma once

#include "bpf-lsm/signer.h"

enum { BW_MAX_BATCH = 64 };

// The facts of a load but for its signer, and what the load has shown of that one.
struct bw_question {
  struct bw_facts facts;
  struct bw_signed_by signed_by;
  __u32 keyring;  // slot of the system keyring that it named, or 0
  __u32 reserved;
};

struct bw_batch {
  __u32 count;    // how many of the facts are to be decided
  __u32 decided;  // by the program: how many it did
};
