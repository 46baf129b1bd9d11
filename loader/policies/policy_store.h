// Copies of the policies that a host knows, under /var/lib/bpfwarden/policies: what `rollback` and
// `promote` make a policy from, and what a boot comes up with, whatever has become of the files
// since.
//
// One JSON file for each, named by the digest that its image carries in the kernel. A copy proves
// nothing by itself: what is made from it must have that digest again. Files are replaced whole.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "loader/policies/policy_file.h"

namespace bpfwarden::loader {

inline constexpr const char* kPolicyStore = "/var/lib/bpfwarden/policies";
inline constexpr const char* kBootFile = "boot";  // in it: which one a boot comes up with

using PolicyDigest = std::span<const uint8_t, BW_DIGEST_SIZE>;  // bw_image.policy_digest

// Errors: errno of writing. `checked` must have compiled.
[[nodiscard]] Status save_policy(const CheckedPolicy& checked);

// Errors: there is no such copy; it gives another policy than the one asked for.
[[nodiscard]] Result<CheckedPolicy> load_policy(PolicyDigest digest);

// What `apply --saved` applies: the policy that was last confirmed, in the mode of its image.
[[nodiscard]] Status save_for_boot(const bw_image& image);
[[nodiscard]] bool has_saved_for_boot();
[[nodiscard]] bool is_saved_for_boot(const bw_image& image);
// Errors: nothing is saved.
[[nodiscard]] Result<CheckedPolicy> load_for_boot();

// Forgets every copy but these and the one for the boot.
void prune_policies(const std::vector<PolicyDigest>& keep);

// Forgets all. Errors: errno of unlink(2).
[[nodiscard]] Status forget_policies();

}  // namespace bpfwarden::loader
