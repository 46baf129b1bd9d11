// Programs by the dozen.
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#define ONE(number) \
  SEC("xdp") int program_##number(struct xdp_md* packet) { return XDP_PASS; }
#define EIGHT(a) ONE(a##0) ONE(a##1) ONE(a##2) ONE(a##3) ONE(a##4) ONE(a##5) ONE(a##6) ONE(a##7)

char LICENSE[] SEC("license") = "GPL";
