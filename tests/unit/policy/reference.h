// What a policy means, evaluated rule by rule over the model: the yardstick for compile() and
// bw_decide(), written from docs/policy.md and sharing no code with either.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bpf-lsm/abi/cause.h"
#include "policy/language/model.h"

namespace bpfwarden::policy::test {

struct Load {
  uint32_t prog_type = 0;
  uint32_t attach_type = 0;
  std::string name;  // target, where the load names one
  Signature signature = Signature::unsigned_;
  // Who signed: a public key, or one that it issued; in a system keyring or another; neither if
  // nobody or somebody unknown.
  std::optional<SystemKeyring> keyring;
  std::vector<uint8_t> public_key;
  bool issued = false;
  bool may_issue = true;                    // as the certificate of `public_key` says
  std::vector<std::vector<uint8_t>> below;  // the keys between it and who signed, if it issued
  bw_cause guard = BW_CAUSE_RULE;

  Origin origin = Origin::user;
  uint32_t uid = 0;
  std::optional<std::string> exe = "/usr/bin/loader";  // nullopt: could not be read
  std::optional<std::string> cgroup = "/";
  std::optional<ProgramDigest> digest;
  bool sleepable = false;
  bool delegated = false;
  License license = License::gpl_compatible;
  int64_t time = 0;

  // Given: the program is being attached, here. An empty place could not be found out.
  std::optional<AttachPoint> attach;
};

struct Verdict {
  bool allow = false;
  Mode mode = Mode::audit;
  bw_cause cause = BW_CAUSE_DEFAULT;
  std::optional<size_t> rule;

  bool operator==(const Verdict&) const = default;
};

// A probe of a system call is one of its function, a USDT probe one somewhere in its file, single
// or multi: that is all the kernel knows of them. judge() is about the first.
[[nodiscard]] std::vector<Load> seen_by_the_kernel(const Load& load);

[[nodiscard]] Verdict judge(const Policy& policy, const Load& load);

}  // namespace bpfwarden::policy::test
