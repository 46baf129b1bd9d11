// What a policy means, evaluated rule by rule over the model: the yardstick for compile() and
// bw_decide(), written from docs/policy.md and sharing no code with either.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bpf-lsm/abi/cause.h"
#include "policy/model.h"

namespace bpfwarden::policy::test {

struct Load {
  uint32_t prog_type = 0;
  uint32_t attach_type = 0;
  std::string name;  // target, where the load names one
  Signature signature = Signature::unsigned_;
  // Who signed: a system keyring, or a public key; neither if nobody or somebody unknown.
  std::optional<SystemKeyring> keyring;
  std::vector<uint8_t> public_key;
  bw_cause guard = BW_CAUSE_RULE;
};

struct Verdict {
  bool allow = false;
  Mode mode = Mode::audit;
  bw_cause cause = BW_CAUSE_DEFAULT;
  std::optional<size_t> rule;

  bool operator==(const Verdict&) const = default;
};

[[nodiscard]] Verdict judge(const Policy& policy, const Load& load);

}  // namespace bpfwarden::policy::test
