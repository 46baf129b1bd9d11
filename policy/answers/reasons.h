// Why a rule did not match: each condition of an image's rule that the facts do not meet.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bpf-lsm/decide.h"

namespace bpfwarden::policy {

// One clause for each condition that is not met: "signature prog-used-maps or more", "another
// signer", "the attach point". Empty: the rule matches, or may once all is known. `facts` are as
// bw_decide() left them, `rule` is below image.rule_count.
[[nodiscard]] std::vector<std::string> reasons_against(const bw_image& image, const bw_facts& facts,
                                                       uint32_t rule);

// A rule that would have admitted a load, had it brought what `reason` names.
struct NearMiss {
  uint32_t rule;
  std::string reason;
};

// The allow rules about the attach point of `facts` that ask for something else as well.
[[nodiscard]] std::vector<NearMiss> near_misses(const bw_image& image, const bw_facts& facts);

}  // namespace bpfwarden::policy
