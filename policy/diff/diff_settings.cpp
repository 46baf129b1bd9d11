#include "policy/diff/diff_settings.h"

#include <algorithm>

#include "bpf-lsm/decide.h"
#include "policy/language/read_harden.h"
#include "policy/language/words.h"

namespace bpfwarden::policy {
namespace {

using std::string;

string mode_text(const bw_decision& decision) {
  return decision.mode == BW_MODE_ENFORCE ? "enforced" : "audit only";
}

}  // namespace

// As judge_attachment() and conclude_shared() in bpf-lsm/attach/attach.bpf.h.
bw_decision decide_for_threads(const bw_image& image, const bw_decision& decision, int64_t time) {
  if ((image.flags & BW_IMAGE_ATTACH) == 0) return decision;
  if (bw_detects(&image, &decision) != 0) return decision;
  return bw_denial(&image, time, BW_CAUSE_SHARED_FILES);
}

string threads_text(const bw_image& image, const bw_decision& for_threads) {
  if (for_threads.cause == BW_CAUSE_SHARED_FILES)
    return "but to no threads, " + mode_text(for_threads);
  return (image.flags & BW_IMAGE_ATTACH) == 0 ? "by threads, too: nothing falls at attach"
                                              : "by threads, too, which are watched";
}

bw_decision decide_token(const bw_image& image, int64_t time) {
  bw_decision decision = bw_denial(&image, time, BW_CAUSE_TOKEN_DENIED);
  if ((image.flags & BW_IMAGE_NO_TOKENS) == 0) decision.allow = 1;
  return decision;
}

// As judge_hardening() in bpf-lsm/harden_hooks.bpf.h.
bw_decision decide_hardening(const bw_image& image, uint32_t hardening, int64_t time) {
  bw_decision decision = bw_denial(&image, time, BW_CAUSE_HARDENED);
  if (!closes(image.harden, hardening)) decision.allow = 1;
  return decision;
}

string token_text(const bw_decision& decision) {
  return decision.allow != 0 ? "allow" : "deny, " + mode_text(decision);
}

std::optional<Change> change_of_kernels(const Policy& before, const Policy& after) {
  const auto adds = [](const Policy& to, const Policy& from) {
    return std::ranges::any_of(to.accept_kernel, [&](KernelWeakness one) {
      return std::ranges::find(from.accept_kernel, one) == from.accept_kernel.end();
    });
  };
  if (adds(after, before)) return Change::widened;
  return adds(before, after) ? std::optional(Change::narrowed) : std::nullopt;
}

string kernels_text(const Policy& policy) {
  string list;
  for (const auto& [word, weakness] : kKernelWeaknessWords)
    if (std::ranges::find(policy.accept_kernel, weakness) != policy.accept_kernel.end())
      list += (list.empty() ? "" : ", ") + string(word);
  return list.empty() ? "nothing" : list;
}

}  // namespace bpfwarden::policy
