// Situations as settings: the facts of a policy test, and of `explain` on the command line.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/image/situation.h"
#include "policy/language/fields.h"

namespace bpfwarden::policy {

// What was said; the rest is filled in by situation_of().
struct SituationSettings {
  std::optional<AttachPoint> attach;
  std::string key;          // empty: nobody that the policy knows
  std::string certificate;  // which one of the key, by its fingerprint; empty: the first
  std::optional<Signature> signature;
  std::optional<Origin> origin;
  std::optional<uint32_t> uid;
  std::optional<std::string> exe;
  std::optional<std::string> cgroup;
  std::optional<ProgramDigest> digest;
  std::optional<bool> sleepable;
  std::optional<bool> delegated;
  std::optional<License> license;
  std::optional<int64_t> time;  // Unix seconds
};

// The names of the settings, in their normal order.
[[nodiscard]] std::vector<std::string_view> situation_names();

// Reads those of them that the table has over what `settings` holds.
void read_situation(const Fields& fields, SituationSettings& settings, DiagnosticList& diagnostics);

// Without a signature: `prog-only` if a key is given, else `unsigned`. Without a time: `now`.
// Errors: no attach point, a key that the policy does not have, a key without a signature, a
// certificate without a key or that the key does not have.
[[nodiscard]] Result<Situation> situation_of(const SituationSettings& settings,
                                             const Policy& policy, const bw_image& image,
                                             int64_t now);

}  // namespace bpfwarden::policy
