// A load or an attachment as people describe it, and what an image says to it.
//
// Situations come from the command line, from policy tests and from recorded events; decide_on()
// turns them into bw_facts and asks bw_decide(), as the kernel part does. Plain data; nothing
// refers to its source.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "bpf-lsm/decide.h"
#include "policy/language/attach_pattern.h"
#include "policy/language/model.h"

namespace bpfwarden::policy {

struct Situation {
  AttachPoint attach;  // as people name it; decide_on() asks about the first that as_seen() has
  Signature signature = Signature::unsigned_;
  uint32_t signer = BW_SIGNER_UNKNOWN;  // slot in the image, see policy/image/signers.h
  Origin origin = Origin::user;
  std::optional<uint32_t> uid = 0;  // nullopt here and below: could not be read
  std::optional<std::string> exe = "";
  std::optional<std::string> cgroup = "/";
  std::optional<ProgramDigest> digest;  // nullopt: not yet known
  bool sleepable = false;
  bool delegated = false;
  License license = License::gpl_compatible;
  int64_t time = 0;                // Unix seconds
  bw_cause guard = BW_CAUSE_RULE;  // what the kernel part refuses before it looks at any rule
  std::string revoked_key;         // of the policy, which was said to sign and counts no longer
  bool is_only_load = false;       // nothing is known of an attachment, as in events of loads
  bool is_target_unknown = false;  // the kernel part could not find it out
};

// What the kernel part refuses for its attach point alone, whatever the policy says.
[[nodiscard]] bw_cause guard_of(const AttachPoint& attach);

// The same as the kernel part may see it: once, or in each of two ways, see as_seen() of
// family_table.h. An answer is one about all of them.
[[nodiscard]] std::vector<Situation> as_seen(const Situation& situation);

// The facts as the kernel part would gather them at that stage.
[[nodiscard]] bw_facts facts_of(const Situation& situation, bw_stage stage);

struct LoadOutcome {
  bw_facts load_facts, attach_facts;
  bw_decision load;
  std::optional<bw_decision> attach;  // only where the policy decides at attach, and load allowed
  [[nodiscard]] const bw_decision& last() const { return attach ? *attach : load; }
  [[nodiscard]] const bw_facts& last_facts() const { return attach ? attach_facts : load_facts; }
};

// What becomes of it under the image: at load, and then, if the image has rules that fall at
// attach and the attachment is known, at attach.
[[nodiscard]] LoadOutcome decide_on(const bw_image& image, const Situation& situation);

}  // namespace bpfwarden::policy
