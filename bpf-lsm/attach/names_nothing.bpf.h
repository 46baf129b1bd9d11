// Calls that would attach a program and name none: no such descriptor, or one of something else.
//
// They come to nothing, so they leave neither a note nor a denial: the kernel says why they fail.
// Where descriptors are shared, what is not there now may be there when the kernel looks. Such a
// call is refused all the same, with the errno that the kernel has for it, and without a word if
// its caller may attach nothing: anybody could make as many as there is room for, and what others
// did would be lost among them. Of who may, an event tells, unless the number can never be that of
// a descriptor, by which loaders find out what a kernel can do.
#pragma once

#include "bpf-lsm/attach/watch.bpf.h"
#include "bpf-lsm/capable.bpf.h"

static __always_inline bool can_be_descriptor(__u32 fd) { return (__s32)fd >= 0; }

// Who has none of these needs a program that somebody else hands it: it is refused, and not told
// of.
static __always_inline bool has_attach_capability(void) {
  return has_capability(1ULL << CAP_NET_ADMIN | 1ULL << CAP_SYS_ADMIN | 1ULL << CAP_PERFMON |
                        1ULL << CAP_BPF);
}

// Whether no judgement follows, where a caller that shares its descriptors names nothing.
static __always_inline bool passes_unjudged(__u32 fd) {
  return !(can_be_descriptor(fd) && has_attach_capability()) && !may_watch();
}

// Where nothing is refused, the kernel says it itself.
static __always_inline bool refuses_at_attach(void) {
  __u64 generation = 0;
  const struct bw_image* image = active_image(&generation);
  if (is_asleep()) return false;
  if (!image) return true;
  return decides_at_attach(image) && bw_enforces_at(image, bpf_ktime_get_tai_ns() / 1000000000);
}

// What the kernel would say.
static __noinline int answer_nothing(__u32 fd) {
  if (!shares_files() || !refuses_at_attach()) return 0;
  return open_file(fd) ? -EINVAL : -EBADF;
}
