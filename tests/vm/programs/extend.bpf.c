// A program with two functions that can be replaced, and what replaces either.
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#define REPLACEABLE(name)                             \
  __attribute__((noinline)) int name(int number) {    \
    asm volatile("" : "+r"(number)); /* not folded */ \
    return number;                                    \
  }

REPLACEABLE(replaceable)
REPLACEABLE(replaceable_too)

SEC("tc") int host(struct __sk_buff* packet) { return replaceable(0) + replaceable_too(0); }

// Named as a function of the kernel.
SEC("tc") int tcp_connect(struct __sk_buff* packet) { return 0; }

SEC("freplace/replaceable") int extension(int number) { return number; }

char LICENSE[] SEC("license") = "GPL";
