// Fixed-width types for headers that clang (for BPF) and g++ (for the manager) both compile.
// In a BPF object kernel_types.bpf.h has already defined them.
#pragma once

#ifdef __bpf__
#include "bpf-lsm/kernel/kernel_types.bpf.h"
#define BW_STATIC_ASSERT _Static_assert
#else
#include <linux/types.h>

#include <cstddef>
#define BW_STATIC_ASSERT static_assert
#endif
