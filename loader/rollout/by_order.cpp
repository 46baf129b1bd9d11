#include "loader/rollout/by_order.h"

#include <algorithm>
#include <string>
#include <utility>

#include "loader/btf/kernel_abilities.h"
#include "loader/kernel/seal.h"
#include "loader/policies/kernel_fit.h"
#include "loader/policies/policy_store.h"
#include "loader/rollout/apply_signed.h"
#include "loader/signed/order.h"

namespace bpfwarden::loader {
namespace {

keyring::KeySerial ring_of_signers(const ActivePolicy& active) {
  return keyring::find_ring(kRingName).value_or(active.generation.image->sealed.ring);
}

Result<ActivePolicy> require_signers(bw_request_verb verb) {
  auto active = require_active_policy();
  if (active && !asks_for_signatures(*active->generation.image))
    return fail("the active policy names nobody who may sign (`policy-signed-by`)",
                is_sealed(active->word)
                    ? "until the next boot it stays as it is"
                    : std::string("`bpfwarden ") + request_word(verb) + "` needs no order here");
  return active;
}

// As the kernel part judges it (bpf-lsm/seal/request.bpf.h).
Result<Generation> policy_before(const ActivePolicy& active) {
  const uint64_t number = active.word.previous;
  auto before = read_generation(active.pins.generations.get(),
                                number == active.generation.number ? 0 : number);
  if (!before) return std::unexpected(std::move(before).error());
  if (!*before)
    return fail("there is no policy to go back to", "`bpfwarden status` shows what is active");
  if (is_sealed(active.word) && number < active.word.sealed_generation)
    return fail("the policy before has version " +
                    std::to_string((*before)->image->policy_version) +
                    ", and is from before the host was sealed: no sealed host goes back below that",
                "compile and sign a newer version of what it said, and apply that");
  return std::move(**before);
}

// By a run that was ended then, or by an order that is given once more.
bool has_gone_back(const ActivePolicy& active, const bw_request& request) {
  const bw_image& now = *active.generation.image;
  return std::ranges::equal(now.policy_name, request.policy_name) &&
         now.policy_version == request.to_version &&
         active.word.taken_back == request.policy_version;
}

Result<bw_control> challenged(const ActivePolicy& active) {
  if (auto asked = send_order({.kind = BW_ORDER_CHALLENGE}); !asked)
    return std::unexpected(std::move(asked).error());
  auto word = read_control(active.pins.control.get());
  if (word && word->challenge[2] == 0)
    return fail("the kernel part has made no challenge, and does not say why",
                "`bpfwarden status` says whether all hooks are there");
  return word;
}

}  // namespace

Result<bw_request> make_request(bw_request_verb verb) {
  const auto active = require_signers(verb);
  if (!active) return std::unexpected(active.error());
  const bw_image& now = *active->generation.image;
  bw_request request = {};
  request.magic = BW_REQUEST_MAGIC;
  request.abi = BW_REQUEST_ABI;
  request.verb = verb;
  request.policy_version = now.policy_version;
  std::ranges::copy(now.policy_name, request.policy_name);
  if (verb == BW_REQUEST_ROLLBACK) {
    const auto before = policy_before(*active);
    if (!before) return std::unexpected(before.error());
    request.to_version = before->image->policy_version;
  }
  const auto word = challenged(*active);
  if (!word) return std::unexpected(word.error());
  std::ranges::copy(word->challenge, request.challenge);
  return request;
}

Status require_no_order(const ActivePolicy& active, bw_request_verb verb) {
  const bw_image& image = *active.generation.image;
  if (!asks_for_signatures(image)) return require_unsealed(active.word);
  if (!is_sealed(active.word) &&
      (awaits_confirmation(active.word, boot_time_ns()) || is_left_to_seal(active)))
    return {};
  const std::string word = request_word(verb);
  return fail(std::string(is_sealed(active.word) ? "the host is sealed" : "the policy is signed") +
                  ": it takes an order that those have signed whom the active policy names "
                  "(`policy-signed-by`)",
              "`bpfwarden order " + word +
                  " -o FILE` writes what is to be signed; then `bpfwarden " + word +
                  " --order FILE`");
}

Status release(const ActivePolicy& active, const SignedRequest& request) {
  const Order order = {.kind = BW_ORDER_REQUEST,
                       .request = &request.request,
                       .signatures = request.signatures,
                       .ring = ring_of_signers(active)};
  if (auto taken = send_order(order); !taken) return taken;
  const auto word = read_control(active.pins.control.get());
  if (!word) return std::unexpected(word.error());
  if (word->released_ns != 0) return {};
  return fail("the kernel part has not taken the order, and does not say why",
              "`bpfwarden status` says whether all hooks are there");
}

Result<Promoted> rollback_by_order(const SignedRequest& request) {
  auto lock = Lock::take();
  if (!lock) return std::unexpected(std::move(lock).error());
  const auto active = require_signers(BW_REQUEST_ROLLBACK);
  if (!active) return std::unexpected(active.error());
  if (auto whole = require_hooks(*active); !whole) return std::unexpected(whole.error());
  const bool is_done = has_gone_back(*active, request.request);
  const auto before = is_done ? Result<Generation>() : policy_before(*active);
  if (!before) return std::unexpected(before.error());
  const bw_image& image = is_done ? *active->generation.image : *before->image;
  auto policy = load_policy(image.policy_digest);
  if (!policy) return std::unexpected(std::move(policy).error());
  *policy->compiled->image = image;  // it may be the audit form of its text
  const CompiledPolicy& compiled = *policy->compiled;
  const Order order = {
      .kind = BW_ORDER_REQUEST, .request = &request.request, .signatures = request.signatures};
  auto applied =
      is_done ? make_up_for_order(*active, compiled) : change_by_order(*active, order, compiled, 0);
  if (applied) applied = keep_ordered(*active, *applied, image);
  if (!applied) return std::unexpected(std::move(applied).error());
  return Promoted{std::move(*policy), *applied, {}};
}

Result<uint64_t> stage_signed(const SignedPolicy& policy) {
  {
    auto lock = Lock::take();
    if (!lock) return std::unexpected(std::move(lock).error());
    const auto active = require_active_policy();
    if (!active) return std::unexpected(active.error());
    if (asks_for_signatures(*active->generation.image)) {
      if (auto fit = require_successor(*active, *policy.image); !fit)
        return std::unexpected(std::move(fit).error());
      if (auto saved = save_policy(policy.checked); !saved) return std::unexpected(saved.error());
      if (!is_sealed(active->word))
        if (auto ready = prepare_slots(active->pins.generations.get()); !ready)
          return std::unexpected(std::move(ready).error());
      const Order order = {.kind = BW_ORDER_STAGE,
                           .image = policy.image.get(),
                           .signatures = policy.signatures,
                           .ring = ring_of_signers(*active)};
      if (auto taken = send_order(order); !taken) return std::unexpected(std::move(taken).error());
      const auto word = read_control(active->pins.control.get());
      if (!word) return std::unexpected(word.error());
      prune_copies(active->pins);
      return word->staged;
    }
  }
  return stage(policy.checked);
}

Result<Promoted> promote_signed(const ActivePolicy& active, const PreflightOptions& options) {
  auto staged = read_generation(active.pins.generations.get(), active.word.staged);
  if (!staged) return std::unexpected(std::move(staged).error());
  if (!*staged)
    return fail("no policy is staged", "run `bpfwarden stage NAME.bpfpolicy` with a signed one");
  if (active.word.staged_signed != active.word.staged)
    return fail(
        "what is staged was not signed, and the active policy is replaced by signed ones "
        "alone (`policy-signed-by`)",
        "sign it (`bpfwarden compile --help`), then `bpfwarden apply NAME.bpfpolicy`");
  if (auto fit = require_successor(active, *(*staged)->image); !fit)
    return std::unexpected(std::move(fit).error());
  if (auto whole = require_hooks(active); !whole) return std::unexpected(whole.error());
  auto policy = load_policy((*staged)->image->policy_digest);
  if (!policy) return std::unexpected(std::move(policy).error());
  policy->compiled->image = std::move((*staged)->image);  // with the time to confirm
  const CompiledPolicy& compiled = *policy->compiled;
  if (auto held = require_held(held_against(compiled, abilities_of_kernel(), Occasion::change));
      !held)
    return std::unexpected(std::move(held).error());
  auto taken_away = require_accepted(compiled, options);
  if (!taken_away) return std::unexpected(std::move(taken_away).error());
  auto applied = change_by_order(active, {.kind = BW_ORDER_PROMOTE}, compiled,
                                 compiled.image->confirm_within_s);
  if (applied) applied = keep_ordered(active, *applied, *compiled.image);
  if (!applied) return std::unexpected(std::move(applied).error());
  return Promoted{std::move(*policy), *applied, std::move(*taken_away)};
}

}  // namespace bpfwarden::loader
