// What a policy would refuse of that which runs already: asked before it is made active.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "loader/pins.h"
#include "loader/policy_file.h"

namespace bpfwarden::loader {

struct WouldRefuse {
  uint32_t program_id = 0;
  std::string name;    // of the program
  std::string attach;  // "fentry/tcp_connect"
  std::string signer;  // as the policy that admitted it calls it; may be empty
  std::string why;     // "rule 'no xdp' (line 7)"
};

// Decides again about each program that the warden has admitted and that is still there, by the
// facts of its load. Programs from before the warden are not among them. Errors: errno of bpf(2).
[[nodiscard]] Result<std::vector<WouldRefuse>> preflight(const PinnedMaps& pins,
                                                         const bw_image& image);

// Several lines; empty if there is nothing.
[[nodiscard]] std::string preflight_text(const std::vector<WouldRefuse>& list);

// Before `image` is made active: an Error with the list where it would refuse something, unless
// that is accepted. No Error where no policy is active yet.
[[nodiscard]] Status require_accepted(const bw_image& image, bool accept_denials);

}  // namespace bpfwarden::loader
