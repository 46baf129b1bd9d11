// What the settings of two policies change, beside the answers that loads get: who may attach with
// threads, whether there may be BPF tokens, and what [harden] closes. Internal to
// policy/diff/diff*.
#pragma once

#include <array>
#include <optional>
#include <string>

#include "policy/diff/diff.h"
#include "policy/diff/diff_parts.h"

namespace bpfwarden::policy {

// What becomes of what `decision` does not refuse, if threads share the file descriptors of who
// attaches.
[[nodiscard]] bw_decision decide_for_threads(const bw_image& image, const bw_decision& decision,
                                             int64_t time);
[[nodiscard]] std::string threads_text(const bw_image& image, const bw_decision& for_threads);

// What becomes of BPF_TOKEN_CREATE.
[[nodiscard]] bw_decision decide_token(const bw_image& image, int64_t time);
[[nodiscard]] std::string token_text(const bw_decision& decision);

// What becomes of what that is about, an enum bw_hardening.
[[nodiscard]] bw_decision decide_hardening(const bw_image& image, uint32_t hardening, int64_t time);
// What a kernel may lack: more than before is wider, as rules are content with less there.
[[nodiscard]] std::optional<Change> change_of_kernels(const Policy& before, const Policy& after);
[[nodiscard]] std::string kernels_text(const Policy& policy);

}  // namespace bpfwarden::policy
