// What hooks return: 0, or one of these, negative.
#pragma once

#include "bpf-lsm/kernel/kernel_memory.bpf.h"

enum {
  EPERM = 1,
  ENOENT = 2,
  EBADF = 9,
  EAGAIN = 11,
  EINVAL = 22,
  ENOKEY = 126,
};

// The answer of a hook to what a global function returned: not 0, refused. To the verifier that may
// be any number, and a hook must not return just any; clang knows the few that it can be, and must
// not leave out the choice for it.
static __always_inline int error_of(int refused) {
  barrier_var(refused);
  return refused ? -EPERM : 0;
}
