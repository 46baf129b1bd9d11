#include "loader/rollout/preflight.h"

#include <algorithm>
#include <cstring>
#include <ctime>
#include <set>

#include "keyring/x509.h"
#include "loader/events/recorded_event.h"
#include "loader/kernel/provenance.h"
#include "loader/policies/active_policy.h"
#include "loader/rollout/recorded_loads.h"
#include "policy/answers/probes.h"
#include "policy/image/signers.h"
#include "policy/text/date.h"
#include "policy/text/wording.h"

namespace bpfwarden::loader {
namespace {

// By the key's digest, as the kernel part finds it; else by name: an issuer, a whole keyring.
uint32_t signer_in(const bw_image& image, const bw_program& record) {
  const bool has_key = std::ranges::any_of(record.signer_key, [](uint64_t word) { return word; });
  return has_key ? bw_signer_by_digest(&image, record.signer_key)
                 : policy::slot_named(image, record.signer_name);
}

// An event knows its signer by the name that the policy of then had for it.
uint32_t signer_in(const bw_image& image, const bw_image* active, const std::string& name) {
  const uint32_t same_name = policy::slot_named(image, name);
  if (same_name != BW_SIGNER_UNKNOWN || active == nullptr) return same_name;
  const uint32_t known = policy::slot_named(*active, name);
  if (known == BW_SIGNER_UNKNOWN) return known;
  bw_program record = {};
  std::memcpy(record.signer_key, active->signers[known].key_digest, BW_DIGEST_SIZE);
  return signer_in(image, record);
}

// A certificate of that key is taken out, or issued and no longer trusted.
bool revokes(const policy::Policy& next, const __u64* key_digest) {
  const auto is_of_key = [&](const Certificate& certificate) {
    return std::memcmp(certificate.key_digest.data(), key_digest, BW_DIGEST_SIZE) == 0;
  };
  return std::ranges::any_of(next.keys, [&](const policy::Key& key) {
    return std::ranges::any_of(key.revoked, is_of_key) ||
           std::ranges::any_of(key.withdrawn, is_of_key);
  });
}

bool revokes(const policy::Policy& next, const bw_image* active, const std::string& name) {
  if (active == nullptr) return false;
  const uint32_t known = policy::slot_named(*active, name);
  if (known == BW_SIGNER_UNKNOWN) return false;
  bw_program record = {};
  std::memcpy(record.signer_key, active->signers[known].key_digest, BW_DIGEST_SIZE);
  return revokes(next, record.signer_key);
}

std::string reason_of(const bw_image& image, const bw_decision& decision) {
  if (decision.rule >= image.rule_count)
    return std::string(policy::cause_text(static_cast<bw_cause>(decision.cause)));
  const bw_rule& rule = image.rules[decision.rule];
  return std::string("rule '") + rule.name + "' (line " + std::to_string(rule.line) + ")";
}

// Programs that run and are in the list already.
using Listed = std::set<std::tuple<std::string, std::string, std::string>>;

std::string digest_of(const bw_facts& facts) {
  const bw_name& digest = facts.names[BW_NAME_DIGEST];
  return digest.known != 0 ? hex({digest.bytes, BW_DIGEST_SIZE}) : "";
}

Status judge_running(const PinnedMaps& pins, const CompiledPolicy& next, Preflight& found,
                     Listed& listed) {
  const bw_image& image = *next.image;
  auto programs = read_provenance(pins);
  if (!programs) return std::unexpected(std::move(programs).error());
  for (const AdmittedProgram& program : *programs) {
    bw_facts facts = program.record.facts;
    facts.signer = signer_in(image, program.record);
    const bw_decision decision = bw_decide(&image, &facts);
    if (bw_refused(&decision) == 0) continue;
    auto& list = revokes(next.policy, program.record.signer_key) ? found.revoked : found.running;
    list.push_back({program.record.program_id, program.name, program.attach,
                    program.record.signer_name, reason_of(image, decision)});
    listed.emplace(program.attach, program.record.signer_name, digest_of(facts));
  }
  return {};
}

// As the image would decide today: about the load of a load's event, about the attachment of one
// of an attachment. Nothing for an event that is not understood, and where nothing is decided.
std::optional<bw_decision> decide_again(const RecordedKind& kind, const bw_image& image,
                                        uint32_t signer, int64_t now) {
  Event event = kind.event;
  event.signer.clear();  // a name of the policy of then: the slot says who it is in this one
  event.wall_time = now;
  auto situation = situation_of_event(event, {}, image, now);
  if (!situation) return std::nullopt;
  situation->signer = signer;
  const policy::LoadOutcome outcome = policy::decide_on(image, *situation);
  return situation->is_only_load ? outcome.load : outcome.attach;
}

bool is_refused_by(const bw_image& active, const RecordedKind& kind, int64_t now) {
  const auto decision =
      decide_again(kind, active, policy::slot_named(active, kind.seen.load.signer), now);
  return decision && bw_refused(&*decision) != 0;
}

std::vector<WouldRefuse> judge_kinds(const std::vector<RecordedKind>& kinds,
                                     const CompiledPolicy& policy, const bw_image* active,
                                     const Listed& listed, std::vector<WouldRefuse>& revoked) {
  const bw_image& next = *policy.image;
  std::vector<WouldRefuse> refused;
  const int64_t now = std::time(nullptr);
  for (const RecordedKind& kind : kinds) {
    const policy::RecordedLoad& load = kind.seen.load;
    if (listed.contains({load.attach, load.signer, load.digest})) continue;
    const auto decision = decide_again(kind, next, signer_in(next, active, load.signer), now);
    if (!decision || bw_refused(&*decision) == 0) continue;
    if (active != nullptr && is_refused_by(*active, kind, now)) continue;
    auto& list = revokes(policy.policy, active, load.signer) ? revoked : refused;
    list.push_back({0, load.program, load.attach, load.signer, reason_of(next, *decision),
                    kind.seen.by, kind.seen.count, kind.seen.last, is_feature_probe(kind.event)});
  }
  return refused;
}

std::string line_of(const WouldRefuse& one) {
  std::string text = one.program_id != 0 ? "program " + std::to_string(one.program_id) + " " : "";
  text += "'" + one.name + "', " + one.attach + ", " +
          (one.signer.empty() ? "no known signer" : "signed by " + one.signer);
  if (!one.by.empty()) text += ", by " + one.by;
  if (one.count != 0)
    text += ", " + std::to_string(one.count) + (one.count == 1 ? " time" : " times");
  if (one.last != 0) text += ", last " + policy::date_text(one.last);
  return "  " + text + ": " + one.why + "\n";
}

std::string list_text(const std::string& headline, const std::vector<WouldRefuse>& list,
                      size_t limit) {
  if (list.empty()) return {};
  std::string text = headline + ":\n";
  for (size_t i = 0; i < list.size() && i < limit; i++) text += line_of(list[i]);
  if (list.size() > limit)
    text += "  and " + std::to_string(list.size() - limit) +
            " more; `bpfwarden apply --preflight POLICY` lists all\n";
  return text;
}

std::string refused_text(const std::string& what, const std::vector<WouldRefuse>& list,
                         size_t limit) {
  return list_text("would refuse " + std::to_string(list.size()) + " of the " + what, list, limit);
}

// What is meant to be refused, in its own words.
std::string revoked_text(const std::vector<WouldRefuse>& list, size_t limit) {
  return list_text(
      "takes away by a revocation (programs that run go on, and cannot be loaded again)", list,
      limit);
}

// What one rule lets through.
std::string probes_text(const std::vector<WouldRefuse>& list, size_t limit) {
  if (list.empty()) return {};
  const auto unusual = std::ranges::max_element(
      list, {}, [](const WouldRefuse& one) { return policy::probe_rule(one.attach).size(); });
  return refused_text("kinds of feature probes that were recorded", list, limit) +
         "without them loaders may give up before they try what they want; this rule lets all be "
         "loaded, and nothing of them run:\n\n" +
         policy::probe_rule(unusual->attach) + "\n";
}

}  // namespace

Result<Preflight> preflight(const CompiledPolicy& next, const EventSource& events) {
  Preflight found;
  Listed listed;
  const auto active = read_active_policy();
  if (!active) return std::unexpected(active.error());
  const bw_image* image = *active ? (*active)->generation.image.get() : nullptr;
  if (image != nullptr)
    if (Status done = judge_running((*active)->pins, next, found, listed); !done)
      return std::unexpected(std::move(done).error());
  const auto kinds = read_recorded_kinds(events);
  if (!kinds) return std::unexpected(kinds.error());
  found.recorded = judge_kinds(kinds->loads, next, image, listed, found.revoked);
  std::ranges::stable_partition(found.recorded,
                                [](const WouldRefuse& one) { return !one.is_probe; });
  const auto first_probe = std::ranges::find(found.recorded, true, &WouldRefuse::is_probe);
  found.probes.assign(first_probe, found.recorded.end());
  found.recorded.erase(first_probe, found.recorded.end());
  found.attached = judge_kinds(kinds->attachments, next, image, {}, found.revoked);
  if (kinds->walk.unreadable != 0) found.unreadable = unreadable_text(kinds->walk);
  // A count only: the list of programs is for people, and no reason to stop.
  if (image != nullptr && next.image->mode == BW_MODE_ENFORCE)
    if (const auto residents = count_residents()) found.residents = residents->count;
  return found;
}

std::string preflight_text(const Preflight& found, size_t limit) {
  std::string text = refused_text("programs that run", found.running, limit) +
                     refused_text("kinds of loads that were recorded", found.recorded, limit) +
                     refused_text("kinds of attachments that were recorded", found.attached, limit);
  text += probes_text(found.probes, limit);
  text += revoked_text(found.revoked, limit);
  if (found.residents != 0)
    text += "not asked about: " + std::to_string(found.residents) +
            " programs from before the first policy, which run on; `bpfwarden inventory` lists "
            "them as resident\n";
  if (!found.unreadable.empty()) text += found.unreadable + "\n";
  return text;
}

Result<std::string> require_accepted(const CompiledPolicy& next, const PreflightOptions& options) {
  if (options.accept_denials) return std::string();
  const auto found = preflight(next, options.events);
  if (!found) return std::unexpected(found.error());
  if (found->is_clean()) return revoked_text(found->revoked, kListedDenials);
  return fail(
      "the policy " + preflight_text(*found) + "nothing was changed",
      "change the policy (`bpfwarden suggest` writes one that admits them), or give "
      "--accept-denials: programs that run go on, but cannot be loaded, or attached, again");
}

}  // namespace bpfwarden::loader
