// Each way in which a descriptor, or a path of bpffs, becomes a program: evidence of what is
// watched, and the alarm under all ways.
#pragma once

#include "bpf-lsm/attach/unjudged.bpf.h"

// Three functions turn a descriptor into a program. The kernel's compiler has put the first into
// the other two, and of those the second into its callers in kernel/bpf/syscall.c.
SEC("fexit/__bpf_prog_get")
int BPF_PROG(see_static_get, __u32 fd) { return see_inlined(fd, returned(ctx)); }

SEC("fexit/bpf_prog_get")
int BPF_PROG(see_get, __u32 fd) { return see_program(fd, returned(ctx)); }

SEC("fexit/bpf_prog_get_type_dev")
int BPF_PROG(see_get_type, __u32 fd) { return see_program(fd, returned(ctx)); }

// Of xt_bpf (kernel/bpf/inode.c). lsm/bpf_prog has been asked about it, and has noted it.
SEC("fexit/bpf_prog_get_type_path")
int BPF_PROG(see_path) { return require_judged(BY_PATH, returned(ctx)); }
