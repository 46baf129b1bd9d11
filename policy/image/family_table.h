// Families of attach points as the kernel part meets them: it sees program types, attach types and
// kinds of probes, where libbpf and the policy have names.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "bpf-lsm/abi/image.h"
#include "policy/language/attach_pattern.h"
#include "policy/language/model.h"

namespace bpfwarden::policy {

// Fills family_of and family_of_probe, which are the same in every image.
void write_families(bw_image& image);

// What the kernel sees of an attachment that libbpf names by another family.
struct SeenAs {
  size_t family;
  TextMatch target;
};

// A probe of a system call is one of its function, where libbpf puts it; rules that refuse are
// about all functions that the kernel makes of it. On each architecture. A USDT probe is one at an
// offset that only the file tells, single or multi: exact ones are known as all those of their
// file, and not to allow rules.
[[nodiscard]] std::vector<SeenAs> seen_as(size_t family, const TextMatch& target, Action action);

// Whether the kernel sees every attachment of that family as one of another.
[[nodiscard]] bool is_seen_as_another(size_t family);

// Stands for an offset that only the file tells, and that no rule names.
inline constexpr std::string_view kUnknownOffset = "0x…";

// An attachment as the kernel sees it: `kprobe/__x64_sys_openat` for `ksyscall/openat`. All others
// are what they are called, but for a USDT probe, which may be seen in two ways:
// `uprobe//usr/bin/bash:0x…`, and from libbpf 1.3 on `uprobe.multi//usr/bin/bash:0x…`
// (collect_usdt_targets() and bpf_program__attach_uprobe_multi() in its usdt.c).
[[nodiscard]] std::vector<AttachPoint> as_seen(AttachPoint attach);

}  // namespace bpfwarden::policy
