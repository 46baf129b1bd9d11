// Why not: the rules that allow an attach point, and what each asks for beyond what a load brought.
//
// For the person who got EPERM: "no rule matched" alone does not tell them what to change.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bpf-lsm/decide.h"

namespace bpfwarden::policy {

struct NearMiss {
  uint32_t rule = 0;   // index into bw_image.rules
  std::string reason;  // what it asks for: "signature prog-only or more and a signer that it names"
};

// Allow rules that name the attach point of `facts` and still do not match it, in rule order.
[[nodiscard]] std::vector<NearMiss> near_misses(const bw_image& image, const bw_facts& facts);

}  // namespace bpfwarden::policy
